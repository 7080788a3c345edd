"""Growth: what a postback, a start and memory cost with much stored, with many streams, with many subscriptions."""
import contextlib
import math
import os

from bench.part import ratios
from bench.server import MMSMO, Failed, Gateway, load_command, on_load_core, running_on_load_core, url

POSTBACKS = 50_000  # for one measurement of their cost
ON_PAPER = 100_000_000


def stored_mib(gateway):
    size = 0
    for directory, _, files in os.walk(os.path.join(gateway.directory, "data")):
        size += sum(os.path.getsize(os.path.join(directory, name)) for name in files)
    return size / 2**20


def measure(gateway):
    """A start, and the cost of further postbacks."""
    gateway.restart("--http-threads", "1")
    gateway.server.settle()
    idle = gateway.server.resident_mib()
    command = [MMSMO, "send", "--url", url(gateway.http), "--count", str(POSTBACKS), "--connections", "64"]
    before = gateway.server.cpu_seconds()
    on_load_core(command)
    cost = (gateway.server.cpu_seconds() - before) / POSTBACKS * 1e6
    return {"cost": cost, "ready": gateway.server.ready_ms, "idle": idle, "peak": gateway.server.peak_mib(),
            "stored": stored_mib(gateway), "commands": [gateway.server.command, command]}


def measure_anew(events):
    """A small log would grow by what is measured, hence a new one each time."""
    with Gateway("--http-threads", "1") as gateway:
        gateway.fill(events)
        return measure(gateway)


def events(part):
    """All logs stay, and rounds go over all of them."""
    sizes = part.options.growth_events
    with contextlib.ExitStack() as stack:
        measurements = {}
        for size in sizes:
            if size <= POSTBACKS:
                measurements[size] = lambda size=size: measure_anew(size)
                continue
            gateway = stack.enter_context(Gateway("--http-threads", "1"))
            gateway.fill(size)
            measurements[size] = lambda gateway=gateway: measure(gateway)
        results = part.interleave(measurements)
    columns = {"CPU µs/postback": "cost", "ready after, ms": "ready", "idle, MiB": "idle", "under load, MiB": "peak",
               "on disk, MiB": "stored"}
    table = {size: {column: [r[key] for r in rounds] for column, key in columns.items()}
             for size, rounds in results.items()}
    if len(sizes) > 1 and {*sizes[-2:]} <= results.keys():
        table[ON_PAPER] = {column: extrapolate(column, sizes[-2:], table) for column in columns}
    for size, values in table.items():
        part.row("Stored events", f"{size:,}" + (", on paper" if size == ON_PAPER else ""), values,
                 results[size][0]["commands"] if size in results else (),
                 than=f"{sizes[0]:,}" if size != sizes[0] else None, events=size)
    if sizes[0] in results and sizes[-1] in results:
        part.target(f"Cost of a postback with {sizes[-1]:,} events stored, of that with {sizes[0]:,}", "",
                    ratios(table[sizes[-1]]["CPU µs/postback"], table[sizes[0]]["CPU µs/postback"]), at_most=1.25)
        part.target(f"Ready with {sizes[-1]:,} events stored, after", "ms", table[sizes[-1]]["ready after, ms"],
                    at_most=1_000)


def retained(gateway):
    return int(gateway.metric("mmsmo_journal_head") - gateway.metric("mmsmo_journal_oldest") + 1)


def cost_of(gateway, postbacks):
    """Of each of so many further postbacks; and what was written to the disk for a byte that the log keeps of them."""
    cpu, written = gateway.server.cpu_seconds(), gateway.server.written_bytes()
    command = [MMSMO, "send", "--url", url(gateway.http), "--count", str(postbacks), "--connections", "64"]
    on_load_core(command, timeout=180 + postbacks / 2_000)
    cpu, written = gateway.server.cpu_seconds() - cpu, gateway.server.written_bytes() - written
    kept = gateway.metric("mmsmo_journal_bytes") / retained(gateway)
    return {"cost": cpu / postbacks * 1e6, "written": written / postbacks / kept, "postbacks": postbacks,
            "commands": [gateway.server.command, command]}


def cost_in_an_empty_log(flags):
    with Gateway(*flags) as gateway:
        gateway.fill(2 * POSTBACKS)  # its first seconds differ from the rest
        return cost_of(gateway, POSTBACKS)


def full_log(part):
    """Retention removes as much as comes in: a round is one turnover of the log."""
    mib = part.options.growth_full_mib
    flags = ("--http-threads", "1", "--retention-bytes", str(mib << 20))
    with Gateway(*flags) as gateway:
        while not gateway.metric("mmsmo_events_removed_total"):
            cost_of(gateway, POSTBACKS)
        results = part.interleave({"empty": lambda: cost_in_an_empty_log(flags),
                                   "full": lambda: cost_of(gateway, retained(gateway))})
    for name, rounds in results.items():
        part.row(f"At a log of {mib:,} MiB", name,
                 {"CPU µs/postback": [r["cost"] for r in rounds], "bytes written/byte kept": [r["written"] for r in rounds],
                  "postbacks": [r["postbacks"] for r in rounds]},
                 rounds[0]["commands"], than="empty" if name == "full" else None)
    if results.keys() == {"empty", "full"}:
        part.target("Cost of a postback over a turnover of a full log, of that in an empty one", "",
                    ratios(*([r["cost"] for r in results[name]] for name in ("full", "empty"))), at_most=1.15)


def extrapolate(column, sizes, table):
    """Each round's line through the two largest sizes, where it rises; the cost's over the logarithm of the size, as
    the depth of RocksDB's tree grows."""
    scale = math.log if column.startswith("CPU") else float
    some, more, far = map(scale, (*sizes, ON_PAPER))
    rounds = zip(*(table[size][column] for size in sizes))
    return [b + max(0, b - a) * (far - more) / (more - some) for a, b in rounds]


def idle_streams_kib(streams, connections):
    """More memory of the gateway, and the commands."""
    with Gateway() as gateway:
        command = load_command("idle", gateway.grpc, "--streams", streams, "--connections", connections)
        before = gateway.server.resident_mib()
        with running_on_load_core(command) as client:
            if client.stdout.readline() != "ready\n":
                raise Failed("the streams did not begin")
            gateway.server.settle()
            more = gateway.server.resident_mib() - before
            client.communicate(timeout=60)
            if client.returncode:
                raise Failed("not every stream began")
        return more * 1024, [gateway.server.command, command]


def subscriptions_kib(count):
    """More memory of the gateway, and its start in milliseconds."""
    with Gateway() as gateway:
        before = gateway.server.resident_mib()
        config = os.path.join(gateway.directory, "gateway.toml")
        with open(config, "w") as file:
            for i in range(count):
                file.write(f'[[subscription]]\nname = "s{i}"\nstart = "earliest"\n')
        gateway.restart("--config", config)
        gateway.restart()  # without the file in memory
        return (gateway.server.resident_mib() - before) * 1024, gateway.server.ready_ms, [gateway.server.command]


def streams(part):
    connections, counts = 100, part.options.growth_streams
    results = part.interleave({n: lambda n=n: idle_streams_kib(n, connections) for n in counts})
    for count, rounds in results.items():
        part.row(f"Idle streams over at most {connections} connections", f"{count:,}",
                 {"KiB each": [kib / count for kib, _ in rounds]}, rounds[0][1], streams=count)
    if counts[-1] in results:
        part.target(f"{counts[-1]:,} idle streams over {connections} connections, each", "KiB",
                    [kib / counts[-1] for kib, _ in results[counts[-1]]], at_most=30)


def subscriptions(part):
    counts = part.options.growth_subscriptions
    results = part.interleave({n: lambda n=n: subscriptions_kib(n) for n in counts})
    for count, rounds in results.items():
        each, ready = [kib / count for kib, _, _ in rounds], [ms for _, ms, _ in rounds]
        part.row("Named subscriptions without streams", f"{count:,}", {"KiB each": each, "ready after, ms": ready},
                 rounds[0][2], subscriptions=count)
        if count == counts[-1]:
            part.target(f"{count:,} subscriptions, each", "KiB", each, at_most=2)
            part.target(f"{count:,} subscriptions, ready again after", "ms", ready, at_most=1_000)


STEPS = {"streams": streams, "subscriptions": subscriptions, "events": events, "full-log": full_log}
