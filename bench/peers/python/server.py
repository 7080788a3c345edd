"""What many would write to stream events from Python: a generator of typed messages, one message a frame.

    server.py ADDRESS EVENTS
"""
import concurrent.futures
import sys

import grpc
from mmsmo.v1 import mms_mo_pb2, mms_mo_service_pb2, mms_mo_service_pb2_grpc


def delivery(number):
    frame = mms_mo_service_pb2.SubscribeResponse(cursor=str(number))
    event = frame.batch.deliveries.add(attempt=1).event
    event.cursor, event.endpoint = str(number), "mms-mo"
    event.accept_time.GetCurrentTime()
    message = event.mms_mo
    message.origin, message.code, message.tracking_id = "MMS_MO", "N401", f"MMSMO{number}"
    message.sender.value, message.sender.e164 = "14082257140", "+14082257140"
    message.sender.kind = mms_mo_pb2.ADDRESS_KIND_LONG_CODE
    message.recipient.value, message.recipient.kind = "28444", mms_mo_pb2.ADDRESS_KIND_SHORT_CODE
    message.keyword, message.operator_id, message.subject = "all", "31002", "x" * 150
    message.timestamp = "2026-04-24T18:34:00Z"
    message.receive_time.FromJsonString(message.timestamp)
    message.media.add(url="https://files.example.com/MMS_MO/photo.jpg", kind=mms_mo_pb2.MEDIA_KIND_IMAGE)
    return frame


class Service(mms_mo_service_pb2_grpc.MmsMoServiceServicer):
    def __init__(self, events):
        self.frames = [delivery(i + 1) for i in range(events)]

    def Subscribe(self, request, context):
        yield mms_mo_service_pb2.SubscribeResponse(started=mms_mo_service_pb2.Started(stream_id="1"))
        yield from self.frames
        yield mms_mo_service_pb2.SubscribeResponse(caught_up=mms_mo_service_pb2.CaughtUp())


def main():
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=4))
    mms_mo_service_pb2_grpc.add_MmsMoServiceServicer_to_server(Service(int(sys.argv[2])), server)
    server.add_insecure_port(sys.argv[1])
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
