"""A real gateway for a test: processes, ports, postbacks and subscribers.

CMake runs the tests with these environment variables: MMSMO_GATEWAY and MMSMO_COMMAND are the binaries, MMSMO_PYTHON
is the directory of the wire contract's Python modules, MMSMO_SANITIZER is what the binaries were built with, or empty.
"""
import base64
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.environ["MMSMO_PYTHON"])

import grpc  # noqa: E402
from mmsmo.v1 import event_pb2, mms_mo_service_pb2 as service_pb2  # noqa: E402
from tests.integration.ports import free_port  # noqa: E402

COMMAND = os.environ["MMSMO_COMMAND"]
SANITIZED = bool(os.environ.get("MMSMO_SANITIZER"))
PATH = "/postbacks/mms-mo"


def xml(tracking_id, **fields):
    """A postback; a keyword argument becomes an element, its underscores hyphens."""
    values = {"origin": "MMS_MO", "code": "N401", "from": "14082257140", "to": "28444",
              "tracking-id": tracking_id, "timestamp": "2026-04-24T18:34:00Z"}
    values.update({name.replace("_", "-"): value for name, value in fields.items()})
    elements = "".join(f"<{name}>{value}</{name}>" for name, value in values.items())
    return f"<postback>{elements}<content><file>https://a.example/1.jpg</file></content></postback>".encode()


class Gateway:
    """One gateway process and its data directory."""

    def __init__(self, directory, *flags, grpc_listen=None, environment=None, log=None):
        """With `log`, a descriptor, it logs there rather than into a file."""
        self.directory, self.flags, self.environment = directory, flags, environment or {}
        self.output = log
        self.http, self.admin = free_port(), free_port()
        self.grpc = grpc_listen or f"127.0.0.1:{free_port()}"
        self.log = os.path.join(directory, "gateway.log")
        self.process = None

    def command(self):
        return [os.environ["MMSMO_GATEWAY"], "--http-listen", f"127.0.0.1:{self.http}", "--grpc-listen", self.grpc,
                "--admin-listen", f"127.0.0.1:{self.admin}", "--data-dir", os.path.join(self.directory, "data"),
                *self.flags]

    def start(self, wait=True):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log if self.output is None else self.output,
                                            env={**os.environ, **self.environment})
        if wait:
            self.wait_until_ready()
        return self

    def wait_until_ready(self, seconds=30):
        deadline = time.monotonic() + seconds
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("the gateway did not become ready:\n" + self.log_text()[-3000:])
            time.sleep(0.005)

    def is_ready(self):
        try:
            return self.get("/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """Asks it to end; returns its exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("the gateway did not end after SIGTERM:\n" + self.log_text()[-3000:])

    def log_text(self):
        with open(self.log, errors="replace") as log:
            return log.read()

    def get(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def metric(self, series):
        """The value of a series as /metrics prints it, 0 where there is none."""
        status, text = self.get("/metrics")
        assert status == 200, status
        found = re.search("^" + re.escape(series) + r" (\S+)$", text, re.MULTILINE)
        return float(found.group(1)) if found else 0.0

    def post(self, body, content_type="application/xml", path=PATH, **headers):
        """The status, the answer's JSON and its headers."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http, timeout=30)
        try:
            connection.request("POST", path, body, {"Content-Type": content_type, **headers})
            response = connection.getresponse()
            return response.status, json.loads(response.read()), response.headers
        finally:
            connection.close()

    def connect(self):
        """A raw connection to the postback port."""
        return socket.create_connection(("127.0.0.1", self.http), timeout=30)

    def url(self):
        return f"http://127.0.0.1:{self.http}{PATH}"

    def channel(self):
        return grpc.insecure_channel(self.grpc, [("grpc.max_reconnect_backoff_ms", 100)])

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read()).group(1)) * 1024

    def mmsmo(self, *arguments, **options):
        """Runs the command; arguments come after the gateway's address."""
        return subprocess.run([COMMAND, "--grpc", self.grpc, *arguments], capture_output=True, text=True,
                              timeout=300, **options)


def run(*arguments, user=None, **environment):
    """Runs a gateway to its end, as another user where `user` is a uid."""
    return subprocess.run([os.environ["MMSMO_GATEWAY"], *arguments], capture_output=True, text=True, timeout=60,
                          env={**os.environ, **environment}, user=user, group=user, extra_groups=None if user is None else [])


# What a call says whose channel had not noticed before that its gateway was started again.
UNNOTICED_RESTART = ("Broken pipe", "Connection reset by peer", "Socket closed")


class Service:
    """A service of mmsmo.v1 over a channel, without generated stubs."""

    def __init__(self, channel, module=service_pb2, name="MmsMoService"):
        self.channel, self.module, self.name = channel, module, name

    def subscribe(self, timeout=60, **fields):
        call = self.channel.unary_stream(
            "/mmsmo.v1.MmsMoService/Subscribe",
            request_serializer=service_pb2.SubscribeRequest.SerializeToString,
            response_deserializer=service_pb2.SubscribeResponse.FromString)
        return call(service_pb2.SubscribeRequest(**fields), timeout=timeout)

    def call(self, method, timeout=60, **fields):
        request, response = (getattr(self.module, method + kind) for kind in ("Request", "Response"))
        call = self.channel.unary_unary(f"/mmsmo.v1.{self.name}/{method}",
                                        request_serializer=request.SerializeToString,
                                        response_deserializer=response.FromString)
        for is_last_try in (False, True):
            try:
                return call(request(**fields), timeout=timeout)
            except grpc.RpcError as error:
                if is_last_try or error.details() not in UNNOTICED_RESTART:
                    raise

    def events(self, start, **fields):
        """Every event from `start` until the stream has caught up."""
        try:
            return self.caught_up(start, **fields)
        except grpc.RpcError as error:
            if error.details() not in UNNOTICED_RESTART:
                raise
        return self.caught_up(start, **fields)

    def caught_up(self, start, **fields):
        events = []
        stream = self.subscribe(start_position=start, **fields)
        for frame in stream:
            events += [delivery.event for delivery in frame.batch.deliveries]
            if frame.WhichOneof("content") == "caught_up":
                stream.cancel()
                return events
        raise AssertionError("the stream ended before it had caught up")


def earliest():
    return event_pb2.StartPosition(boundary=event_pb2.BOUNDARY_EARLIEST)


def latest():
    return event_pb2.StartPosition(boundary=event_pb2.BOUNDARY_LATEST)


def after(cursor):
    return event_pb2.StartPosition(after_cursor=cursor)


def is_ordered(cursors):
    """Whether each is beyond the one before it. Only a test may look into a cursor."""
    positions = [base64.urlsafe_b64decode(cursor)[9:17] for cursor in cursors]
    return all(a < b for a, b in zip(positions, positions[1:]))


def fill_disk(path):
    with open(os.path.join(path, "ballast"), "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65536)
        except OSError:
            pass


def free_disk(path):
    os.remove(os.path.join(path, "ballast"))


class TestCase(unittest.TestCase):
    """Starts gateways, and sees to it that they end as they should."""

    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="mmsmo-")
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def gateway(self, *flags, **options):
        gateway = Gateway(self.directory, *flags, **options)
        self.addCleanup(lambda: self.assertIn(gateway.stop(), (0, -signal.SIGKILL), gateway.log_text()[-5000:]))
        return gateway.start()

    def mount_small_disk(self, size):
        """Makes the data directory a small file system in memory, where one can be mounted."""
        path = os.path.join(self.directory, "data")
        os.mkdir(path)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], capture_output=True)
        if mounted.returncode != 0:
            self.skipTest("no file system can be mounted here")
        self.addCleanup(lambda: subprocess.run(["umount", path], check=True))
        return path

    def post_until_refused(self, gateway, cursors=None):
        """Fills what a full disk has left; returns the first answer that is not 200."""
        deadline = time.monotonic() + 60
        for i in range(100_000):
            answer = gateway.post(xml(f"FULL{i}", note="x" * 20000))
            if answer[0] != 200:
                return answer
            if cursors is not None:
                cursors.append(answer[1]["cursor"])
            self.assertLess(time.monotonic(), deadline, "the disk does not become full")

    def until(self, what):
        deadline = time.monotonic() + 30
        while not what():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)

    def service(self, gateway):
        channel = gateway.channel()
        self.addCleanup(channel.close)
        return Service(channel)

    def accepted(self, gateway, tracking_id, **fields):
        """Posts one that must be accepted; returns its cursor."""
        status, answer, _ = gateway.post(xml(tracking_id, **fields))
        self.assertEqual((status, answer["outcome"]), (200, "accepted"), answer)
        return answer["cursor"]
