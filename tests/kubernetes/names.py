"""The cluster's DNS. A Service's name has the addresses of its pods, since nothing here carries traffic of a cluster IP.
Takes the address that it listens at."""
import socket
import struct
import sys

from tests.kubernetes.cluster import Watch, end_with_threads

NAME_ERROR, A, SECONDS = 3, 1, 1
slices = {}  # by uid: the Service's name, and the addresses


def seen(kind, one):
    meta = one["metadata"]
    service = f"{meta['labels'].get('kubernetes.io/service-name')}.{meta['namespace']}.svc.cluster.local"
    slices[meta["uid"]] = (service, [] if kind == "DELETED" else [
        address for endpoint in one["endpoints"] or [] if endpoint["conditions"].get("ready")
        for address in endpoint["addresses"]])


def question(query):
    """The name, the type, and where the question ends."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode().lower())
        at += 1 + query[at]
    return ".".join(labels), struct.unpack_from("!H", query, at + 1)[0], at + 5


def answer(query):
    name, kind, end = question(query)
    of_name = [addresses for service, addresses in list(slices.values()) if service == name]
    found = sum(of_name, []) if kind == A else []
    flags = 0x8580 | (0 if of_name else NAME_ERROR)  # authoritative, and as recursive as was asked for
    records = [struct.pack("!HHHIH", 0xC00C, A, 1, SECONDS, 4) + socket.inet_aton(address) for address in found]
    return query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + query[12:end] + b"".join(records)


end_with_threads()
Watch("/apis/discovery.k8s.io/v1/endpointslices", seen)
listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listener.bind((sys.argv[1], 53))
while True:
    received, client = listener.recvfrom(512)
    listener.sendto(answer(received), client)
