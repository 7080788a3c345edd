"""Calls a gateway's unix socket as somebody who would be taken for another; prints the status of every call.

Without gRPC's own client, which names no socket of its own: the requests are HTTP/2 by hand.
"""
import os
import socket
import struct
import sys


def literal(name, value):
    """A header field that enters no table, without Huffman coding (RFC 7541, 6.2.2)."""
    return b"".join([b"\x00", bytes([len(name)]), name, bytes([len(value)]), value])


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def status_of(connection):
    """The grpc-status of the only call; trailers of it alone are not compressed away for a first use."""
    received = b""
    while b"grpc-status" not in received:
        more = connection.recv(65536)
        if not more:
            return "closed"
        received += more
    at = received.index(b"grpc-status") + len(b"grpc-status")
    return received[at + 1:at + 1 + received[at]].decode()


def call(address, own_name, *extra):
    with socket.socket(socket.AF_UNIX) as connection:
        if own_name is not None:
            connection.bind(own_name)
        connection.settimeout(20)
        connection.connect(address)
        headers = [(b":method", b"POST"), (b":scheme", b"http"), (b":authority", b"localhost"),
                   (b":path", b"/mmsmo.v1.SubscriptionService/ListSubscriptions"), (b"te", b"trailers"),
                   (b"content-type", b"application/grpc"), *extra]
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") +
                           frame(1, 4, 1, b"".join(literal(name, value) for name, value in headers)) +
                           frame(0, 1, 1, b"\x00" + struct.pack(">I", 0)))
        return status_of(connection)


def main():
    address, directory = sys.argv[1:]
    os.chdir(directory)
    # Names that read as somebody's descriptor, where others are connected.
    names = [f"fd:{number}" for number in range(3, 60)] + ["ipv4:127.0.0.1:1", "\0fd:20", "\0"]
    for name in names:
        print(call(address, name))
    for header in ((b"peer", b"fd:20"), (b"uid", b"0"), (b"x-peer-uid", b"0"), (b"grpc-peer", b"fd:20"),
                   (b"x509_subject_alternative_name", b"root"), (b":authority", b"fd:20")):
        print(call(address, None, header))


if __name__ == "__main__":
    main()
