"""Ports for servers that tests start, also to start again on."""
import fcntl
import os
import random
import socket
import tempfile

# Below the ports that systems give to outgoing connections (Linux: 32768 and up; IANA: 49152 and up): one of those
# could take a port between two starts of its server.
FIRST, LAST = 10_000, 32_000
_reservations = []


def free_port():
    """A free port of 127.0.0.1, which no other test is given as long as this process lives."""
    directory = os.path.join(tempfile.gettempdir(), f"mmsmo-ports-{os.getuid()}")
    os.makedirs(directory, exist_ok=True)
    while True:
        port = random.SystemRandom().randrange(FIRST, LAST)
        reservation = open(os.path.join(directory, str(port)), "w")
        try:
            fcntl.flock(reservation, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            reservation.close()
            continue
        _reservations.append(reservation)
        return port
