"""Delivery: how fast stored events reach subscribers, what acknowledgements cost, and how soon a postback is
delivered."""
import contextlib
import functools
import subprocess
import time

from bench.ingest.ingest import warm_gateway
from bench.part import ratios
from bench.peers import peers
from bench.server import (EVENT_BYTES, MMSMO, Failed, Gateway, free_address, load, load_command, on_load_core,
                          running_on_load_core, send, sync_micros, url)

FROM_MEMORY = ("--newest-bytes", "2GiB")
FROM_DISK = ("--newest-bytes", "0")
COUNTED, PARSED = "gateway, from memory, counted", "gateway, from memory, parsed"
DISK_COUNTED, DISK_PARSED = "gateway, from disk, counted", "gateway, from disk, parsed"


def catch_up(grpc, server, count, *flags):
    """A stream from the earliest event to the newest, read by our own client."""
    command = load_command("catch-up", grpc, "--count", count, *flags)
    return load(command)["per_second"], [server.command, command]


def jetstream(server, nats, consumer, messages):
    """`ordered`, which leaves nothing behind, or `consume`, whose consumer would go on where it ended."""
    command = [*nats, "bench", "js", consumer, "--no-progress", "--msgs", str(messages)]
    rate = peers.nats_rate(on_load_core(command))
    if consumer == "consume":
        on_load_core([*nats, "consumer", "rm", "--force", "benchstream", "nats-bench"])
    return rate, [server.command, command]


def nats_core(server, nats, messages, subscribers):
    """Subscribers and their publisher share the load's core; nothing is stored."""
    options = ["--no-progress", "--msgs", str(messages)]
    command = [*nats, "bench", "sub", *options, "--clients", str(subscribers), "live"]
    with running_on_load_core(command, stderr=subprocess.PIPE) as process:
        for line in process.stderr:
            if f"[{subscribers}] Starting" in line:
                break
        time.sleep(0.2)  # until the server has heard of the subscriptions
        on_load_core([*nats, "bench", "pub", *options, "--size", str(EVENT_BYTES), "live"])
        output, _ = process.communicate(timeout=60)
    if process.returncode:
        raise Failed("the subscribers failed")
    return peers.nats_rate(output), [server.command, command]


def streams(part):
    """Every server with its events stays up, and rounds go over all of them; the idle ones take no time."""
    events = part.options.events
    half, few = events // 2, events // 10
    measurements = {}
    with contextlib.ExitStack() as stack:
        memory, disk = (stack.enter_context(Gateway(*flags)) for flags in (FROM_MEMORY, FROM_DISK))
        for gateway in (memory, disk):
            gateway.fill(events)
        for name, gateway, flags in ((COUNTED, memory, ()), (PARSED, memory, ("--parse",)), (DISK_COUNTED, disk, ()),
                                     (DISK_PARSED, disk, ("--parse",))):
            measurements[name] = functools.partial(catch_up, gateway.grpc, gateway.server, events, *flags)
        with part.attempt("Go"):
            http, grpc = free_address(), free_address()
            server = stack.enter_context(peers.go(http, grpc))
            send(http, few)
            measurements["Go, one message a frame, parsed"] = functools.partial(catch_up, grpc, server, few, "--parse")
        with part.attempt("Python"):
            grpc = free_address()
            server = stack.enter_context(peers.python(grpc, few))
            measurements["Python, one message a frame, parsed"] = functools.partial(catch_up, grpc, server, few,
                                                                                    "--parse")
        with part.attempt("NATS"):
            server, nats = stack.enter_context(peers.nats(synced=False))
            on_load_core([*nats, "bench", "js", "pub", "async", "--no-progress", "--create", "--msgs", str(half),
                          "--size", str(EVENT_BYTES), "stored"])
            for name, consumer in (("ordered consumer", "ordered"), ("durable consumer, acknowledged", "consume")):
                measurements[f"JetStream, {name}"] = functools.partial(jetstream, server, nats, consumer, half)
            for subscribers in (1, 10):
                measurements[f"NATS core, {subscribers} live, not stored"] = functools.partial(
                    nats_core, server, nats, max(half, 100_000) // subscribers, subscribers)
        results = part.interleave(measurements)
    for name, rounds in results.items():
        part.row("Streams", name, {"deliveries/s": [rate for rate, _ in rounds]}, rounds[0][1],
                 than=PARSED if name != PARSED else None)
    for name, goal in ((COUNTED, 2_000_000), (DISK_COUNTED, 700_000), (DISK_PARSED, 400_000)):
        if name in results:
            part.target(f"Deliveries, {name.removeprefix('gateway, ')}", "/s", [rate for rate, _ in results[name]],
                        at_least=goal)


def acknowledged(part):
    events = part.options.events
    rates, more, ready = [], [], []
    with Gateway(*FROM_DISK) as gateway:
        gateway.fill(events)
        for i in range(part.options.rounds):
            gateway.mmsmo("subscription", "create", f"all-{i}", "--from", "earliest")
            command = load_command("acknowledged", gateway.grpc, "--subscription", f"all-{i}", "--count", events)
            result = load(command)
            if result["failed"]:
                raise Failed(f"{result['failed']} acknowledgements failed")
            rates.append(result["per_second"])
            gateway.mmsmo("subscription", "delete", f"all-{i}")

            gateway.restart(*FROM_DISK)
            gateway.mmsmo("subscription", "create", f"half-{i}", "--from", "earliest", "--max-outstanding", "1000000")
            before = gateway.server.resident_mib()
            gateway.load("acknowledged", "--subscription", f"half-{i}", "--every", 2, "--count", events)
            more.append(gateway.server.peak_mib() - before)
            gateway.restart(*FROM_DISK)
            ready.append(gateway.server.ready_ms)
            gateway.mmsmo("subscription", "delete", f"half-{i}")
        part.row("A named subscription", "acknowledged durably by the C++ library", {"deliveries/s": rates},
                 [gateway.server.command, command])
    part.target("Deliveries, acknowledged durably", "/s", rates, at_least=150_000)
    half = f"With every second one of {events:,} events acknowledged"
    part.target(f"{half}, more memory", "MiB", more, at_most=64)
    part.target(f"{half}, ready again after", "ms", ready, at_most=1_000)


def live(part):
    streams, rate = 100, 2_000
    count = rate * 5 * part.options.seconds
    cores, behind = [], []
    for _ in range(part.options.rounds):
        with warm_gateway(part.options.seconds) as gateway:
            command = load_command("live", gateway.grpc, "--streams", streams, "--count", count)
            with running_on_load_core(command) as client:
                if client.stdout.readline() != "ready\n":
                    raise Failed("the streams did not begin")
                cpu, begin = gateway.server.cpu_seconds(), time.perf_counter()
                sending = [MMSMO, "send", "--url", url(gateway.http), "--count", str(count), "--rate", str(rate),
                           "--connections", "64"]
                on_load_core(sending)
                sent = time.perf_counter()
                client.communicate(timeout=60)
                if client.returncode:
                    raise Failed("not every stream received everything")
                behind.append((time.perf_counter() - sent) * 1000)
                cores.append((gateway.server.cpu_seconds() - cpu) / (time.perf_counter() - begin))
    what = f"{streams} live streams at {rate:,} postbacks/s"
    part.row("Live", what, {"the gateway's cores": cores, "last delivery after the last answer, ms": behind},
             [gateway.server.command, command, sending])
    part.target(f"{what}, the gateway's cores", "", cores, at_most=1)


def delivered(part):
    """From the moment a postback is due to its delivery: calm, right after a measurement of the disk's sync, and while
    another subscription is sought, listed and replayed without a pause."""
    rate = 2_000
    what = f"{rate:,} postbacks/s"
    with warm_gateway(part.options.seconds) as gateway:
        gateway.mmsmo("subscription", "create", "other", "--from", "earliest")
        command = load_command("latency", gateway.grpc, "--url", url(gateway.http), "--rate", rate, "--count",
                               rate * 2 * part.options.seconds)

        def calmly():
            return {"sync_ms": sync_micros() / 1000} | load(command)

        def beside_administration():
            administer = load_command("administer", gateway.grpc, "--subscription", "other")
            with running_on_load_core(administer) as administration:
                if administration.stdout.readline() != "ready\n":
                    raise Failed("the administration did not begin")
                result = load(command)
                administration.communicate(timeout=60)
                if administration.returncode:
                    raise Failed("a call of the administration failed")
            return result

        calm, beside = what, f"{what}, beside administration"
        results = part.interleave({calm: calmly, beside: beside_administration})
        for name, rounds in results.items():
            values = {f"{p}, ms": [r[f"{p}_ms"] for r in rounds] for p in ("p50", "p99", "p99.9", "max")}
            part.row("From POST to delivery", name, values, [gateway.server.command, command])
    for name, goal in (("p50", 2), ("p99", 3)):
        part.target(f"From POST to delivery at {what}, {name}, of the median of fdatasync measured just before", "",
                    [r[f"{name}_ms"] / r["sync_ms"] for r in results[calm]], at_most=goal)
    part.row("The disk right before", "fdatasync after 4 KiB", {"p50, ms": [r["sync_ms"] for r in results[calm]]})
    p99 = {name: [r["p99_ms"] for r in rounds] for name, rounds in results.items()}
    part.target(f"From POST to delivery at {what}, p99 beside administration, of calm", "",
                ratios(p99[beside], p99[calm]), at_most=1.5)


STEPS = {"streams": streams, "acknowledged": acknowledged, "live": live, "delivered": delivered}
