"""What can happen to a gateway. Each is a function of a round, and leaves the gateway running and the disk whole."""
import os
import resource
import signal
import socket
import time

from tests.chaos.disk import BROKEN, FULL
from tests.integration.gateway import SANITIZED


def kill(chaos):
    chaos.kill()


def power(chaos):
    chaos.cut_power()


def terminate(chaos):
    chaos.terminate()


def pause(chaos):
    chaos.gateway.process.send_signal(signal.SIGSTOP)
    time.sleep(chaos.chance.uniform(0.1, 3))
    chaos.gateway.process.send_signal(signal.SIGCONT)


def disk_full(chaos):
    fail_writes(chaos, "write_error", FULL)


def write_failure(chaos):
    fail_writes(chaos, "write_error", BROKEN)


def sync_failure(chaos):
    fail_writes(chaos, "sync_error", BROKEN)


def fail_writes(chaos, setting, error):
    setattr(chaos.disk.settings, setting, error)
    time.sleep(chaos.chance.uniform(0.1, 1.5))
    chaos.disk.heal()
    chaos.expect_ready()  # of itself


def slow_sync(chaos):
    chaos.disk.settings.sync_delay_micros = chaos.chance.choice((5_000, 50_000, 500_000))
    time.sleep(chaos.chance.uniform(0.5, 2))
    chaos.disk.heal()


def stuck_sync(chaos):
    """For longer than a provider waits for its answer."""
    chaos.disk.settings.sync_delay_micros = 9_000_000
    time.sleep(0.1)
    chaos.disk.heal()


def clock(chaos):
    """By far more than the default retention, for good or for a moment in which all that is done by the clock is done."""
    before = chaos.disk.settings.clock_offset_micros
    chaos.disk.settings.clock_offset_micros = int(chaos.chance.choice((-30, -8, 8, 30)) * 86_400e6)
    if chaos.chance.random() < 0.5:
        time.sleep(2.5)
        chaos.disk.settings.clock_offset_micros = before


def cut(chaos):
    """Resets the consumers' connections while they handle what they have."""
    chaos.proxy.cut()


def descriptors(chaos):
    """It may open a few more files, and far more connect."""
    pid = chaos.gateway.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    limit = len(os.listdir(f"/proc/{pid}/fd")) + chaos.chance.randrange(20)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    connections = [chaos.gateway.connect() for _ in range(100)]
    time.sleep(chaos.chance.uniform(0.2, 1.5))
    for connection in connections:
        connection.close()
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    chaos.expect_ready()


def memory(chaos):
    """It is given a few megabytes more than it has; it may well end, then or when it next closes."""
    pid = chaos.starved = chaos.gateway.process.pid
    with open(f"/proc/{pid}/statm") as statm:
        size = int(statm.read().split()[0]) * resource.getpagesize()
    limit = size + chaos.chance.randrange(1 << 20, 16 << 20)
    before = resource.prlimit(pid, resource.RLIMIT_AS)
    resource.prlimit(pid, resource.RLIMIT_AS, (limit, before[1]))
    time.sleep(chaos.chance.uniform(0.2, 1.5))
    if chaos.gateway.process.poll() is not None:
        return chaos.kill()
    resource.prlimit(pid, resource.RLIMIT_AS, before)
    chaos.expect_ready()


def half_open(chaos):
    """Clients that begin, and are never heard of again; some of them go without a word of farewell."""
    for begin in (b"", b"POST /postb", b"POST /postbacks/mms-mo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n<post"):
        for _ in range(10):
            connection = chaos.gateway.connect()
            connection.sendall(begin)
            chaos.held.append(connection)
    target, port = chaos.gateway.grpc.split(":")
    subscriber = socket.create_connection((target, int(port)))
    subscriber.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x10\x01")
    chaos.held.append(subscriber)


def consumer_crash(chaos):
    chaos.chance.choice(chaos.consumers).crash()


def consumer_stall(chaos):
    process = chaos.chance.choice(chaos.consumers).process
    process.send_signal(signal.SIGSTOP)
    time.sleep(chaos.chance.uniform(0.1, 4))
    process.send_signal(signal.SIGCONT)


FAULTS = {fault.__name__: fault for fault in (
    kill, power, terminate, pause, disk_full, write_failure, sync_failure, slow_sync, stuck_sync, clock, descriptors,
    memory, half_open, cut, consumer_crash, consumer_stall)}
if SANITIZED:  # a sanitizer needs both itself
    del FAULTS["descriptors"], FAULTS["memory"]
