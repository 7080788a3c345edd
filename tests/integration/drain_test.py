"""A gateway that is asked to read its configuration again and then to end, while everybody is at it."""
import os
import shutil
import signal
import subprocess
import threading
import unittest

from tests.integration.gateway import PATH, Service, after, earliest, grpc, xml
from tests.integration.tls_test import TlsTestCase

# One thread, whose connections each wait 10 ms before a request; every answer becomes a line.
SCRIPT = """
local count, answers = 0, io.open("{answers}", "a")
answers:setvbuf("line")
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/xml"
function delay() return 10 end
function request()
  count = count + 1
  return wrk.format(nil, nil, nil, (string.gsub([[{body}]], "TRACKING", "W" .. count)))
end
function response(status, headers, body)
  answers:write(status, " ", string.match(body, '"cursor":"([^"]*)"') or "-", "\\n")
end
"""


class DrainTest(TlsTestCase):
    def load(self, gateway):
        """wrk over TLS, and the file that its answers go to."""
        if shutil.which("wrk") is None:
            self.skipTest("wrk is not installed")
        answers = os.path.join(self.directory, "answers")
        script = os.path.join(self.directory, "load.lua")
        with open(script, "w") as file:
            file.write(SCRIPT.format(answers=answers, body=xml("TRACKING").decode()))
        process = subprocess.Popen(["wrk", "-t1", "-c16", "-d60s", "-s", script, f"https://127.0.0.1:{gateway.http}{PATH}"],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        def end():
            process.kill()
            process.wait()
        self.addCleanup(end)
        return answers, end

    def subscribe(self, gateway, cursors):
        """Puts everything that comes into `cursors` until the stream's end."""
        channel = grpc.insecure_channel(gateway.grpc, [("grpc.use_local_subchannel_pool", 1)])  # a connection of its own
        self.addCleanup(channel.close)
        stream = Service(channel).subscribe(start_position=earliest(), timeout=120)

        def read():
            try:
                for frame in stream:
                    cursors.extend(delivery.event.cursor for delivery in frame.batch.deliveries)
            except grpc.RpcError as error:
                self.ends.append(error.code())
        reader = threading.Thread(target=read)
        reader.start()
        return reader

    def lines(self, path):
        if not os.path.exists(path):
            return []
        with open(path) as file:
            return [line.split() for line in file if line.endswith("\n")]

    def test_nobody_is_let_down(self):
        gateway = self.gateway(*self.mount.flags("http"), "--drain-grace", "200ms")
        self.ends = []
        seen = [[] for _ in range(10)]
        readers = [self.subscribe(gateway, cursors) for cursors in seen]
        answers, end_load = self.load(gateway)
        for i in range(1, 6):
            self.until(lambda: len(self.lines(answers)) > 100 * i)
            gateway.process.send_signal(signal.SIGHUP)
        self.until(lambda: gateway.metric('mmsmo_reloads_total{result="ok"}') > 0)
        self.until(lambda: len(self.lines(answers)) > 700)
        gateway.process.send_signal(signal.SIGTERM)
        self.assertEqual(gateway.process.wait(60), 0)
        end_load()
        for reader in readers:
            reader.join(60)
        self.assertEqual(self.ends, [grpc.StatusCode.UNAVAILABLE] * 10)

        lines = self.lines(answers)
        self.assertLessEqual({status for status, _ in lines}, {"200", "503"})
        gateway.start()
        rpc = self.service(gateway)
        kept = rpc.events(earliest())
        cursors = [event.cursor for event in kept]
        self.assertEqual(len({event.mms_mo.tracking_id for event in kept}), len(kept), "nothing twice")
        self.assertLessEqual({cursor for status, cursor in lines if status == "200"}, set(cursors), "nothing lost")
        for mine in seen:
            self.assertGreater(len(mine), 0)
            rest = [event.cursor for event in rpc.events(after(mine[-1]))]
            self.assertEqual(mine + rest, cursors)


if __name__ == "__main__":
    unittest.main()
