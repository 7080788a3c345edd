"""What the measurements share: servers on a core of their own, loads on the other, and what the system says of both."""
import contextlib
import glob
import http.client
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build", "release")
WORK = os.path.join(ROOT, "build", "bench")
GATEWAY = os.environ.get("MMSMO_GATEWAY", os.path.join(BUILD, "gateway", "mmsmo-gateway"))  # another, to compare
MMSMO = os.path.join(BUILD, "client", "mmsmo")
LOAD = os.path.join(BUILD, "bench", "bench_load")
SERVER_CORE, LOAD_CORE, BOTH_CORES = "0", "1", "0,1"
EVENT_BYTES = 450
TICKS = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """Something could not be measured; the rest can."""


def run(command, **options):
    """The output of a command that must succeed."""
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=True,
                              **options).stdout
    except subprocess.CalledProcessError as error:
        output = (error.stdout + error.stderr).strip().splitlines()
        raise Failed(f"{os.path.basename(command[0])} failed: {' / '.join(output[-3:])}") from error


def on_load_core(command, timeout=180, cores=LOAD_CORE):
    return run(["taskset", "-c", cores, *command], timeout=timeout)


@contextlib.contextmanager
def running_on_load_core(command, **options):
    """With pipes to it; what has not ended by itself is ended."""
    with subprocess.Popen(["taskset", "-c", LOAD_CORE, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True, **options) as process:
        try:
            yield process
        finally:
            process.kill()


def free_address():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{s.getsockname()[1]}"


def port_of(address):
    return address.split(":")[1]


def get(address, path):
    connection = http.client.HTTPConnection(address, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().read().decode()
    finally:
        connection.close()


@contextlib.contextmanager
def work_directory():
    """On the disk that the project is on; a /tmp may be memory."""
    os.makedirs(WORK, exist_ok=True)
    directory = tempfile.mkdtemp(prefix="data-", dir=WORK)
    try:
        yield directory
    finally:
        shutil.rmtree(directory)


def sync_micros():
    """The median of fdatasync after 4 KiB, in microseconds."""
    times = []
    with work_directory() as directory, open(os.path.join(directory, "sync"), "wb", buffering=0) as file:
        for _ in range(200):
            file.write(b"x" * 4096)
            begin = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - begin) * 1e6)
    return statistics.median(times)


class Server:
    """A process pinned to its core, ready once it listens on `address` or, where a path is given, answers there. Its
    log goes into `directory`."""

    def __init__(self, command, address, directory, ready_path=None, cores=SERVER_CORE, **options):
        self.command, self.address, self.log = command, address, os.path.join(directory, "log")
        begin = time.perf_counter()
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(["taskset", "-c", cores, *command], cwd=directory, stdout=out,
                                            stderr=out, **options)
        try:
            while not self._ready(ready_path):
                if self.process.poll() is not None or time.perf_counter() - begin > 120:
                    with open(self.log) as text:
                        raise Failed(f"{os.path.basename(command[0])} did not start: {text.read().strip()[-500:]}")
                time.sleep(0.001)
        except BaseException:
            self.stop()
            raise
        self.ready_ms = (time.perf_counter() - begin) * 1000

    def _ready(self, path):
        try:
            if path:
                get(self.address, path)
            else:
                socket.create_connection(("127.0.0.1", int(port_of(self.address))), timeout=5).close()
            return True
        except OSError:
            return False

    def cpu_seconds(self):
        """With those of its children."""
        ticks = 0
        for path in glob.glob("/proc/[0-9]*/stat"):
            with contextlib.suppress(OSError), open(path) as stat:  # a process may end meanwhile
                number, _, rest = stat.read().partition(" ")
                fields = rest.rsplit(")", 1)[1].split()
                if str(self.process.pid) in (number, fields[1]):
                    ticks += sum(map(int, fields[11:15]))
        return ticks / TICKS

    def settle(self, seconds=1.0):
        """Until it is idle for so long: what runs in the background, such as a compaction, has ended."""
        deadline = time.perf_counter() + 600
        while time.perf_counter() < deadline:
            before = self.cpu_seconds()
            time.sleep(seconds)
            if self.cpu_seconds() - before <= 0.02 * seconds:
                return
        raise Failed("the server is not idle after ten minutes")

    def threads(self):
        """{id: (name, CPU µs, bytes written to the disk)}"""
        found = {}
        for task in glob.glob(f"/proc/{self.process.pid}/task/*"):
            with open(f"{task}/comm") as name, open(f"{task}/schedstat") as cpu, open(f"{task}/io") as io:
                written = re.search(r"^write_bytes: (\d+)", io.read(), re.MULTILINE)[1]
                found[task] = name.read().strip(), int(cpu.read().split()[0]) / 1000, int(written)
        return found

    def written_bytes(self):
        """To the disk."""
        with open(f"/proc/{self.process.pid}/io") as io:
            return int(re.search(r"^write_bytes: (\d+)", io.read(), re.MULTILINE).group(1))

    def _mib(self, field):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(field + r":\s+(\d+)", status.read()).group(1)) / 1024

    def peak_mib(self):
        return self._mib("VmHWM")

    def resident_mib(self):
        return self._mib("VmRSS")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def serving(*arguments, **options):
    server = Server(*arguments, **options)
    try:
        yield server
    finally:
        server.stop()


class Gateway:
    """A gateway on its core, with a data directory that outlives its processes."""

    def __init__(self, *flags, cores=SERVER_CORE):
        self.flags, self.cores, self.server = flags, cores, None
        self.http, self.grpc, self.admin = (free_address() for _ in range(3))
        self.cleanup = contextlib.ExitStack()

    def __enter__(self):
        self.directory = self.cleanup.enter_context(work_directory())
        try:
            self.start()
        except BaseException:
            self.cleanup.close()
            raise
        return self

    def __exit__(self, *_):
        self.server.stop()
        self.cleanup.close()

    def start(self):
        self.server = Server(
            [GATEWAY, "--http-listen", self.http, "--grpc-listen", self.grpc,
             "--admin-listen", self.admin, "--data-dir", os.path.join(self.directory, "data"), *self.flags],
            self.admin, self.directory, "/readyz", self.cores)

    def restart(self, *flags):
        self.server.stop()
        self.flags = flags
        self.start()

    def mmsmo(self, *arguments):
        return run([MMSMO, "--grpc", self.grpc, *arguments])

    def fill(self, events):
        send(self.http, events)

    def load(self, mode, *arguments):
        return load(load_command(mode, self.grpc, *arguments))

    def metric(self, name):
        return float(re.search("^" + re.escape(name) + r" (\S+)$", get(self.admin, "/metrics"), re.MULTILINE)[1])


def url(address):
    return f"http://{address}/postbacks/mms-mo"


def send(address, count):
    """Postbacks whose events are about EVENT_BYTES."""
    return on_load_core([MMSMO, "send", "--url", url(address), "--count", str(count), "--connections", "256",
                         "--retry-for", "60", "--subject", "x" * 150], timeout=180 + count / 2_000)


def load_command(mode, grpc, *arguments):
    return [LOAD, mode, "--grpc", grpc, *map(str, arguments)]


def load(command):
    """What bench/load.cc says."""
    return json.loads(on_load_core(command).splitlines()[-1])
