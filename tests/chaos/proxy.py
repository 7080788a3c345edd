"""What stands between a client and a gateway: it passes on everything, until a test has it cut or freeze connections."""
import asyncio
import contextlib
import socket
import struct
import threading


class Proxy:
    """Listens on `address` for connections to `target`, both HOST:PORT; serves them on a thread of its own."""

    def __init__(self, target):
        self._target = target.rsplit(":", 1)
        self._pairs = {}  # of writers, to the event that lets them go on
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.address = self._run(self._listen())

    def cut(self):
        """Resets every connection."""
        self._run(self._cut())

    def freeze(self):
        """Passes on nothing more on today's connections, of which nobody is told anything; new ones are as ever."""
        self._run(self._freeze())

    def connections(self):
        return len(self._pairs)

    def close(self):
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _listen(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return "127.0.0.1:%d" % self._server.sockets[0].getsockname()[1]

    async def _close(self):
        self._server.close()
        await self._cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _cut(self):
        for writer in [writer for pair in self._pairs for writer in pair]:
            with contextlib.suppress(OSError):  # it is closed already
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def _freeze(self):
        for goes_on in self._pairs.values():
            goes_on.clear()

    async def _serve(self, reader, writer):
        try:
            server_reader, server_writer = await asyncio.open_connection(*self._target)
        except OSError:
            return writer.transport.abort()
        pair = (writer, server_writer)
        goes_on = self._pairs[pair] = asyncio.Event()
        goes_on.set()
        pumps = [asyncio.ensure_future(self._pump(*ends, goes_on))
                 for ends in ((reader, server_writer), (server_reader, writer))]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        del self._pairs[pair]
        for end in pair:
            end.close()

    @staticmethod
    async def _pump(reader, writer, goes_on):
        try:
            while data := await reader.read(1 << 16):
                await goes_on.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
