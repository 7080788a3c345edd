"""Prints every message: PYTHONPATH=gen/python python3 client/python/examples/subscriber.py localhost:9090"""
import sys
import time
import grpc
from mmsmo.v1 import event_pb2, mms_mo_service_pb2, mms_mo_service_pb2_grpc

stub = mms_mo_service_pb2_grpc.MmsMoServiceStub(grpc.insecure_channel(sys.argv[1]))
start = event_pb2.StartPosition(boundary=event_pb2.BOUNDARY_EARLIEST)
while True:
    try:
        for frame in stub.Subscribe(mms_mo_service_pb2.SubscribeRequest(start_position=start)):
            for delivery in frame.batch.deliveries:
                mms = delivery.event.mms_mo
                print(mms.tracking_id, mms.sender.value, mms.subject, *(file.url for file in mms.media), flush=True)
            start = event_pb2.StartPosition(after_cursor=frame.cursor)  # where to go on after a failure
    except grpc.RpcError as error:
        print(error.details(), file=sys.stderr)
        time.sleep(1)
