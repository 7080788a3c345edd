"""Ingest: the same POSTs to nginx, which answers 200 and does nothing else, to the gateway, which decodes,
deduplicates and syncs each, and to what else would take them."""
import functools
import os
import re

from bench.part import ratios
from bench.peers import peers
from bench.server import EVENT_BYTES, Failed, Gateway, free_address, on_load_core

HERE = os.path.dirname(os.path.abspath(__file__))
GOALS = {64: 0.38, 256: 0.50}  # of nginx, at so many connections
CLIENTS, MANY_CLIENTS = 64, 256


def wrk(address, connections, seconds, media, tls=False, header=None):
    return ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", os.path.join(HERE, "postback.lua"),
            f"{'https' if tls else 'http'}://{address}", "--", os.path.join(HERE, "postback." + media),
            *([header] if header else [])]


def measure(server, command):
    """Answers, answers a second, CPU µs an answer."""
    before = server.cpu_seconds()
    out = on_load_core(command)
    cpu = server.cpu_seconds() - before
    answers = int(re.search(r"(\d+) requests in", out)[1])
    if failed := re.search(r"Non-2xx or 3xx responses: (\d+)", out):
        raise Failed(f"{failed[1]} of {answers} answers were not 200")
    if answers == 0:
        raise Failed("no answer")
    return answers, float(re.search(r"Requests/sec:\s+(\S+)", out)[1]), cpu / answers * 1e6


def postbacks_to_gateway(connections, seconds, media):
    with Gateway("--http-threads", "1") as gateway:
        command = wrk(gateway.http, connections, seconds, media)
        answers, rate, cpu = measure(gateway.server, command)
        accepted = gateway.metric('mmsmo_postbacks_total{outcome="accepted",reason=""}')
        if accepted < answers:
            raise Failed(f"{answers} were answered, {accepted:.0f} accepted")
        return rate, cpu, [gateway.server.command, command]


def postbacks_to(peer, connections, seconds, *arguments):
    address = free_address()
    with peer(address, *arguments) as server:
        command = wrk(address, connections, seconds, "xml")
        _, rate, cpu = measure(server, command)
        return rate, cpu, [server.command, command]


def publish(synced, kind, messages):
    """NATS's own load, since it does not speak HTTP."""
    with peers.nats(synced) as (server, nats):
        command = [*nats, "bench", "js", "pub", kind, "--no-progress", "--create", "--dedup", "--storage", "file",
                   "--clients", str(CLIENTS), "--msgs", str(messages), "--size", str(EVENT_BYTES), "stored"]
        before = server.cpu_seconds()
        rate = peers.nats_rate(on_load_core(command))
        return rate, (server.cpu_seconds() - before) / messages * 1e6, [server.command, command]


def compare(part, table, measurements, reference, **at):
    """Each one's rates."""
    results = part.interleave(measurements)
    for name, rounds in results.items():
        rates, cpus, commands = zip(*rounds)
        than = reference if name != reference and reference in results else None
        part.row(table, name, {"answers/s": rates, "CPU µs/answer": cpus}, commands[0], than, **at)
    return {name: [rate for rate, _, _ in rounds] for name, rounds in results.items()}


def target(part, what, rates, name, other, goal):
    if name in rates and other in rates:
        part.target(what, "", ratios(rates[name], rates[other]), at_least=goal)


def limit(part):
    seconds = part.options.seconds
    for count in part.options.connections:
        nginx, xml, json = (f"{name}, {count:,}" for name in ("nginx", "gateway, XML", "gateway, JSON"))
        rates = compare(part, "Server, connections", {
            nginx: functools.partial(postbacks_to, peers.nginx, count, seconds),
            xml: functools.partial(postbacks_to_gateway, count, seconds, "xml"),
            json: functools.partial(postbacks_to_gateway, count, seconds, "json"),
        }, nginx, connections=count)
        if count in GOALS:
            target(part, f"XML at {count} connections, of nginx", rates, xml, nginx, GOALS[count])


def others(part):
    seconds = part.options.seconds

    def programs(count):
        return {"gateway": functools.partial(postbacks_to_gateway, count, seconds, "xml"),
                "Go": functools.partial(postbacks_to, peers.go, count, seconds, free_address()),
                "Express": functools.partial(postbacks_to, peers.express, count, seconds, "group")}

    beside = {"Express, a sync each": functools.partial(postbacks_to, peers.express, CLIENTS, seconds, "each"),
              "webhook": functools.partial(postbacks_to, peers.webhook, CLIENTS, seconds),
              "JetStream, synced": functools.partial(publish, True, "sync", 2_000 * seconds),
              "JetStream, synced, async": functools.partial(publish, True, "async", 2_000 * seconds),
              "JetStream, not synced": functools.partial(publish, False, "sync", 40_000 * seconds),
              "JetStream, not synced, async": functools.partial(publish, False, "async", 100_000 * seconds)}
    for count in (CLIENTS, MANY_CLIENTS):
        measurements = programs(count) | (beside if count == CLIENTS else {})
        rates = compare(part, f"Other servers, {count} connections", measurements, "gateway")
        target(part, f"XML at {count} connections, of Express", rates, "gateway", "Express", 10)
        target(part, f"XML at {count} connections, of Go", rates, "gateway", "Go", 3)
    part.data["versions"] = peers.versions()


STEPS = {"limit": limit, "others": others}
