"""A gateway of a later version: it passes on every call, and begins each stream with a frame of a kind that today's
clients do not know."""
from concurrent import futures

import grpc

# Field 15 of SubscribeResponse, empty.
UNKNOWN_FRAME = bytes([15 << 3 | 2, 0])
SUBSCRIBE = "/mmsmo.v1.MmsMoService/Subscribe"


class _Calls(grpc.GenericRpcHandler):
    def __init__(self, channel):
        self.channel = channel

    def service(self, details):
        if details.method == SUBSCRIBE:
            return grpc.unary_stream_rpc_method_handler(self.subscribe)
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self.channel.unary_unary(details.method)(request))

    def subscribe(self, request, context):
        stream = self.channel.unary_stream(SUBSCRIBE)(request)
        context.add_callback(stream.cancel)
        yield next(stream)  # Started is the first frame of every stream
        yield UNKNOWN_FRAME
        yield from stream


class Relay:
    def __init__(self, target):
        self.channel = grpc.insecure_channel(target)
        self.server = grpc.server(futures.ThreadPoolExecutor(8))
        self.server.add_generic_rpc_handlers([_Calls(self.channel)])
        self.address = "127.0.0.1:%d" % self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.stop(None).wait()
        self.channel.close()
