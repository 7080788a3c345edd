"""Delivery: how fast stored events reach subscribers, what acknowledgements cost, how soon a postback is delivered, and
what subscriptions take. Server and client have one core each; rounds are medians.

    script/bench delivery [--events N] [--rounds N]
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from server import BUILD, LOAD_CORE, Server, free_port, get, sync_micros  # noqa: E402

MMSMO = os.path.join(BUILD, "client", "mmsmo")
LOAD = os.path.join(BUILD, "bench", "delivery_load")
EVENT_BYTES = 450


class Gateway:
    """A gateway on its core, with a data directory that outlives its processes."""

    def __init__(self, *flags):
        self.directory, self.flags = tempfile.mkdtemp(prefix="mmsmo-bench-"), flags
        self.http, self.grpc, self.admin = (f"127.0.0.1:{free_port()}" for _ in range(3))
        self.server = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.server.stop()
        shutil.rmtree(self.directory)

    def start(self):
        self.server = Server(
            [os.path.join(BUILD, "gateway", "mmsmo-gateway"), "--http-listen", self.http, "--grpc-listen", self.grpc,
             "--admin-listen", self.admin, "--data-dir", os.path.join(self.directory, "data"), *self.flags],
            int(self.admin.split(":")[1]), "/readyz", self.directory)
        return self

    def restart(self, *flags):
        self.server.stop()
        self.flags = flags
        return self.start()

    def url(self):
        return f"http://{self.http}/postbacks/mms-mo"

    def mmsmo(self, *arguments):
        return subprocess.run([MMSMO, "--grpc", self.grpc, *arguments], capture_output=True, text=True, check=True).stdout

    def fill(self, events):
        subject = "x" * 150  # for events of EVENT_BYTES
        subprocess.run(["taskset", "-c", LOAD_CORE, MMSMO, "send", "--url", self.url(), "--count", str(events),
                        "--connections", "256", "--subject", subject], check=True, capture_output=True)

    def load(self, mode, *arguments):
        out = subprocess.run(["taskset", "-c", LOAD_CORE, LOAD, mode, "--grpc", self.grpc, *arguments],
                             capture_output=True, text=True)
        if out.returncode != 0:
            sys.exit(f"{mode}: {out.stdout}{out.stderr}")
        return json.loads(out.stdout.splitlines()[-1])

    def metric(self, name):
        return float(re.search("^" + name + r" (\S+)$", get(int(self.admin.split(":")[1]), "/metrics"), re.MULTILINE)[1])


def report(what, value, target):
    print(f"  {what:<58} {value:>14}   (target {target})", flush=True)


def catch_up(options):
    print(f"\nOne stream over {options.events:,} stored events of about {EVENT_BYTES} bytes, deliveries/s", flush=True)
    count = ["--count", str(options.events)]
    with Gateway("--newest-bytes", "2GiB", "--retention-bytes", "0") as gateway:
        gateway.fill(options.events)
        event_bytes = len(gateway.mmsmo("tail", "--json", "--from", "earliest", "--count", "1"))
        print(f"  (one event is {event_bytes} bytes as JSON)")
        rates = [gateway.load("catch-up", *count)["per_second"] for _ in range(options.rounds)]
        report("from the newest events in memory, frames counted", f"{statistics.median(rates):,.0f}", "1,500,000")
        gateway.restart("--newest-bytes", "0")
        rates = [gateway.load("catch-up", *count)["per_second"] for _ in range(options.rounds)]
        report("from disk, frames counted", f"{statistics.median(rates):,.0f}", "700,000")
        rates = [gateway.load("catch-up", "--parse", *count)["per_second"] for _ in range(options.rounds)]
        report("from disk, parsed", f"{statistics.median(rates):,.0f}", "400,000")

        print("\nOne named subscription, acknowledged by the C++ library, durably", flush=True)
        rates = []
        for i in range(options.rounds):
            gateway.mmsmo("subscription", "create", f"acked-{i}", "--from", "earliest")
            result = gateway.load("acknowledged", "--subscription", f"acked-{i}", *count)
            if result["failed"]:
                sys.exit(f"{result['failed']} acknowledgements failed")
            rates.append(result["per_second"])
            gateway.mmsmo("subscription", "delete", f"acked-{i}")
        report("acknowledged deliveries/s", f"{statistics.median(rates):,.0f}", "150,000")

        print(f"\nA subscription of {options.events:,} events with every second one acknowledged", flush=True)
        gateway.restart("--newest-bytes", "0")
        gateway.mmsmo("subscription", "create", "half", "--from", "earliest", "--max-outstanding", "1000000")
        before = gateway.server.resident_mib()
        gateway.load("acknowledged", "--subscription", "half", "--every", "2", *count)
        report("more resident memory, MiB", f"{gateway.server.peak_mib() - before:,.0f}", "64")
        gateway.restart("--newest-bytes", "0")
        report("ready again after, ms", f"{gateway.server.ready_ms:,.0f}", "1,000")


def live(options):
    streams, rate, seconds = 100, 2000, 10
    print(f"\n{streams} live streams, {rate:,} postbacks/s for {seconds} s", flush=True)
    with Gateway() as gateway:
        client = subprocess.Popen(["taskset", "-c", LOAD_CORE, LOAD, "live", "--grpc", gateway.grpc, "--streams",
                                   str(streams), "--count", str(rate * seconds)], stdout=subprocess.PIPE, text=True)
        if client.stdout.readline() != "ready\n":
            sys.exit("live: the streams did not begin")
        cpu, begin = gateway.server.cpu_seconds(), time.perf_counter()
        subprocess.run(["taskset", "-c", LOAD_CORE, MMSMO, "send", "--url", gateway.url(), "--count",
                        str(rate * seconds), "--rate", str(rate), "--connections", "64"], check=True, capture_output=True)
        sent = time.perf_counter()
        complete = json.loads(client.stdout.readline())["complete"]
        behind = time.perf_counter() - sent
        cpu = (gateway.server.cpu_seconds() - cpu) / (time.perf_counter() - begin)
        report("streams that received everything", complete, streams)
        report("the last of them after the last answer, ms", f"{behind * 1000:,.0f}", "soon")
        report("the gateway's cores", f"{cpu:.2f}", "1")


def latency(options):
    print("\nFrom POST to delivery at 2,000 postbacks/s, ms", flush=True)
    with Gateway() as gateway:
        print(f"  fdatasync here: median {sync_micros(gateway.directory):.0f} µs")
        rounds = [gateway.load("latency", "--url", gateway.url(), "--rate", "2000", "--count", "20000")
                  for _ in range(options.rounds)]
        report("median", f"{statistics.median(r['p50_ms'] for r in rounds):.2f}", "1.5")
        report("99th percentile", f"{statistics.median(r['p99_ms'] for r in rounds):.2f}", "6")


def idle_subscriptions(_):
    count = 10_000
    print(f"\n{count:,} subscriptions declared, no streams", flush=True)
    with Gateway() as gateway:
        before = gateway.server.resident_mib()
        config = os.path.join(gateway.directory, "gateway.toml")
        with open(config, "w") as file:
            for i in range(count):
                file.write(f'[[subscription]]\nname = "s{i}"\nstart = "earliest"\n')
        gateway.restart("--config", config)
        gateway.restart()  # without the file in memory
        report("memory for each, KiB", f"{(gateway.server.resident_mib() - before) * 1024 / count:.2f}", "2")
        report("ready again after, ms", f"{gateway.server.ready_ms:,.0f}", "1,000")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=["catch-up", "live", "latency", "idle"])
    options = parser.parse_args()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("this benchmark needs two cores: one for the gateway, one for the client")
    parts = {"catch-up": catch_up, "live": live, "latency": latency, "idle": idle_subscriptions}
    for name, part in parts.items():
        if options.only in (None, name):
            part(options)


if __name__ == "__main__":
    main()
