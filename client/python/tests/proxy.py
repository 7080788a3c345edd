"""Stands between a client and a gateway, and can break connections in two ways."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading


class Proxy:
    """Passes on everything to `target`, HOST:PORT, until it is told otherwise."""

    def __init__(self, target):
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        self._pairs = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        """Resets every connection."""
        for pair in self._pairs:
            for end in pair:
                with contextlib.suppress(OSError):  # it is closed already
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                _shut(end)
        self._pairs = []

    def freeze(self):
        """Passes on nothing more on today's connections, of which nobody is told; new ones are as ever."""
        for pair in self._pairs:
            pair.append(None)

    def close(self):
        self._listener.close()
        for pair in self._pairs:
            for end in pair[:2]:
                _shut(end)

    def _accept(self):
        while True:
            try:
                client = self._listener.accept()[0]
                gateway = socket.create_connection(self._target)
            except OSError:
                return
            pair = [client, gateway]
            self._pairs.append(pair)
            for one, other in ((client, gateway), (gateway, client)):
                threading.Thread(target=self._pass_on, args=(one, other, pair), daemon=True).start()

    @staticmethod
    def _pass_on(one, other, pair):
        with contextlib.suppress(OSError):
            while data := one.recv(1 << 16):
                if len(pair) > 2:
                    return  # frozen
                other.sendall(data)
        if len(pair) == 2:
            _shut(other)


def _shut(end):
    with contextlib.suppress(OSError):  # it is closed already
        end.shutdown(socket.SHUT_RDWR)
    end.close()
