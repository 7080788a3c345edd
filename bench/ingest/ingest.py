"""Ingest: the same POSTs to nginx, which answers 200 and does nothing else, to the gateway, which decodes,
deduplicates and syncs each, and to what else would take them. Servers have worked before they are measured."""
import contextlib
import functools
import itertools
import os
import re
import resource
import time

from bench.part import by_key, ratios
from bench.peers import peers
from bench.server import BOTH_CORES, EVENT_BYTES, LOAD_CORE, SERVER_CORE, Failed, Gateway, free_address, on_load_core

HERE = os.path.dirname(os.path.abspath(__file__))
GOALS = {1: 0.28, 16: 0.33, 64: 0.55, 256: 0.60}  # of nginx, at so many connections
CLIENTS, MANY_CLIENTS = 64, 256
COLUMNS, LOAD_SHARE = ("answers/s", "CPU µs/answer"), "the load's share of both cores, %"
ACCEPTED = 'mmsmo_postbacks_total{outcome="accepted",reason=""}'
GROUPS, GROUPED = "mmsmo_commit_group_size_count", "mmsmo_commit_group_size_sum"
FIRSTS = itertools.count(0, 10_000_000)  # tracking ids: every load has its own


def wrk(address, connections, seconds, media="xml", threads=1, tls=False, header=None):
    return ["wrk", f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "-s", os.path.join(HERE, "postback.lua"),
            f"{'https' if tls else 'http'}://{address}", "--", os.path.join(HERE, "postback." + media),
            str(next(FIRSTS)), *([header] if header else [])]


def load_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(server, address, connections, seconds, cores=LOAD_CORE, **how):
    """Answers, what they cost the server, and what share of the two cores the load took. The server is idle again
    afterwards."""
    command = wrk(address, connections, seconds, **how)
    cpu, load, begin = server.cpu_seconds(), load_seconds(), time.perf_counter()
    out = on_load_core(command, cores=cores)
    cpu, load, took = server.cpu_seconds() - cpu, load_seconds() - load, time.perf_counter() - begin
    answers = int(re.search(r"(\d+) requests in", out)[1])
    if failed := re.search(r"Non-2xx or 3xx responses: (\d+)", out):
        raise Failed(f"{failed[1]} of {answers} answers were not 200")
    if answers == 0:
        raise Failed("no answer")
    server.settle(0.25)
    return {"answers": answers, "answers/s": float(re.search(r"Requests/sec:\s+(\S+)", out)[1]),
            "CPU µs/answer": cpu / answers * 1e6, LOAD_SHARE: load / took * 50,
            "commands": [server.command, command]}


def warm_up(server, address, seconds, **how):
    """What it does all day is what counts: files and memory come to their sizes first, and programs are compiled."""
    measure(server, address, CLIENTS, 2 * seconds, **how)


@contextlib.contextmanager
def warm_gateway(seconds, *flags, cores=SERVER_CORE, **how):
    with Gateway(*flags, cores=cores) as gateway:
        warm_up(gateway.server, gateway.http, seconds, **how)
        yield gateway


def costs(before, after, answers):
    """µs of CPU and bytes by what a thread does. The gateway's have no names: of those that are not RocksDB's, the
    writer writes the most to the disk, and the HTTP thread has the most to do of the others."""
    more = {task: (name, cpu - before[task][1], written - before[task][2])
            for task, (name, cpu, written) in after.items() if task in before}
    own = [task for task, (name, *_) in more.items() if not name.startswith("rocksdb:")]
    writer = max(own, key=lambda task: more[task][2])
    http = max((task for task in own if task != writer), key=lambda task: more[task][1])
    work = dict.fromkeys(("HTTP", "writer", "flush", "compaction", "others"), 0)
    for task, (name, cpu, _) in more.items():
        what = {"rocksdb:high": "flush", "rocksdb:low": "compaction"}.get(name, "others")
        work["writer" if task == writer else "HTTP" if task == http else what] += cpu / answers
    log, written = more[writer][2], sum(written for _, _, written in more.values())
    return {f"{what}, µs": cpu for what, cpu in work.items()} | {
        "log, bytes": log / answers, "other files, bytes": (written - log) / answers}


def measure_gateway(gateway, *arguments, **how):
    """As `measure`; with the work of its threads for an answer."""
    names = (ACCEPTED, GROUPS, GROUPED)
    before, threads = [gateway.metric(name) for name in names], gateway.server.threads()
    found = measure(gateway.server, gateway.http, *arguments, **how)
    accepted, groups, grouped = (gateway.metric(name) - value for name, value in zip(names, before))
    if accepted < found["answers"]:
        raise Failed(f"{found['answers']} were answered, {accepted:.0f} accepted")
    return found | {"costs": costs(threads, gateway.server.threads(), accepted) | {"postbacks/sync": grouped / groups}}


def publish(synced, kind, messages):
    """NATS's own load, since it does not speak HTTP."""
    with peers.nats(synced) as (server, nats):
        def command(count):
            return [*nats, "bench", "js", "pub", kind, "--no-progress", "--create", "--dedup", "--storage", "file",
                    "--clients", str(CLIENTS), "--msgs", str(count), "--size", str(EVENT_BYTES), "stored"]

        on_load_core(command(2 * messages))
        server.settle(0.25)
        before = server.cpu_seconds()
        rate = peers.nats_rate(on_load_core(command(messages)))
        return {CLIENTS: {"answers/s": rate, "CPU µs/answer": (server.cpu_seconds() - before) / messages * 1e6,
                          "commands": [server.command, command(messages)]}}


def answered_by(peer, counts, seconds, *arguments):
    address = free_address()
    with peer(address, *arguments) as server:
        warm_up(server, address, seconds)
        return {count: measure(server, address, count, seconds) for count in counts}


def answered_by_gateway(counts, seconds):
    with warm_gateway(seconds, "--http-threads", "1") as gateway:
        return {count: measure_gateway(gateway, count, seconds) for count in counts}


def row(part, table, name, rounds, than=None, columns=COLUMNS, **at):
    values = {column: [r[column] for r in rounds] for column in columns}
    part.row(table, name, values, rounds[0]["commands"], than, **at)


def target(part, what, results, one, other, goal):
    if one in results and other in results:
        part.target(what, "", ratios(*([r["answers/s"] for r in results[key]] for key in (one, other))), at_least=goal)


def beside_nginx(part, table, counts, gateways, workers=1, columns=COLUMNS, **load):
    """All servers of a round take all numbers of connections in turn. `gateways`: HTTP threads and format by name."""
    seconds, servers = part.options.seconds, load.get("cores", SERVER_CORE)

    def measure_all():
        address, found = free_address(), {}
        with peers.nginx(address, workers=workers, cores=servers) as nginx, contextlib.ExitStack() as stack:
            warm_up(nginx, address, seconds)
            warm = {name: stack.enter_context(warm_gateway(seconds, "--http-threads", threads, cores=servers))
                    for name, (threads, _) in gateways.items()}
            for count in counts:
                found["nginx", count] = measure(nginx, address, count, seconds, **load)
                for name, (_, media) in gateways.items():
                    found[name, count] = measure_gateway(warm[name], count, seconds, media=media, **load)
        return found

    results = by_key(part.interleave({table: measure_all}))
    for (name, count), rounds in results.items():
        row(part, table, f"{name}, {count:,}", rounds, f"nginx, {count:,}" if name != "nginx" else None, columns,
            connections=count)
    return results


def limit(part):
    xml = "gateway, XML"
    results = beside_nginx(part, "Server, connections", part.options.connections,
                           {xml: ("1", "xml"), "gateway, JSON": ("1", "json")})
    for (name, count), rounds in results.items():
        if name == xml:
            part.row("The gateway's threads, an answer", f"{count:,} connections",
                     {column: [r["costs"][column] for r in rounds] for column in rounds[0]["costs"]}, connections=count)
            if count in GOALS:
                target(part, f"XML at {count} connections, of nginx", results, (xml, count), ("nginx", count),
                       GOALS[count])


def cores(part):
    """Server and load share both cores; who gets which is the system's to say."""
    beside_nginx(part, "Both cores for server and load", (CLIENTS, MANY_CLIENTS),
                 {"gateway, 1 HTTP thread": ("1", "xml"), "gateway, 2 HTTP threads": ("2", "xml")}, 2,
                 (*COLUMNS, LOAD_SHARE), cores=BOTH_CORES, threads=2)


def others(part):
    seconds, both = part.options.seconds, (CLIENTS, MANY_CLIENTS)
    measured = part.interleave({
        "gateway": functools.partial(answered_by_gateway, both, seconds),
        "Go": functools.partial(answered_by, peers.go, both, seconds, free_address()),
        "Express": functools.partial(answered_by, peers.express, both, seconds, "group"),
        "Express, a sync each": functools.partial(answered_by, peers.express, (CLIENTS,), seconds, "each"),
        "webhook": functools.partial(answered_by, peers.webhook, (CLIENTS,), seconds),
        "JetStream, synced": functools.partial(publish, True, "sync", 2_000 * seconds),
        "JetStream, synced, async": functools.partial(publish, True, "async", 2_000 * seconds),
        "JetStream, not synced": functools.partial(publish, False, "sync", 40_000 * seconds),
        "JetStream, not synced, async": functools.partial(publish, False, "async", 100_000 * seconds)})
    for count in both:
        results = {name: [r[count] for r in rounds] for name, rounds in measured.items() if count in rounds[0]}
        for name, rounds in results.items():
            row(part, f"Other servers, {count} connections", name, rounds,
                "gateway" if name != "gateway" and "gateway" in results else None)
        target(part, f"XML at {count} connections, of Express", results, "gateway", "Express", 10)
        target(part, f"XML at {count} connections, of Go", results, "gateway", "Go", 3)
    part.data["versions"] = peers.versions()


STEPS = {"limit": limit, "cores": cores, "others": others}
