"""Latency of the answer at fixed rates, counted from the moment a postback was due (an open loop: a wait for a free
connection counts). nginx, which does nothing, shows what the load and the machine are late by themselves."""
import statistics

from bench.ingest.ingest import warm_gateway
from bench.part import by_key
from bench.peers import peers
from bench.server import LOAD, free_address, load, url

SHARES = (10, 25, 50, 75)  # of the maximum, in per cent
HALF = 50
COLUMNS = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
CONNECTIONS = 256


def measure(server, address, rate, count):
    command = [LOAD, "ingest", "--url", url(address), "--rate", f"{rate:.0f}", "--count", str(count),
               "--connections", str(CONNECTIONS)]
    found = load(command)
    server.settle(0.25)
    return found | {"commands": [server.command, command]}


def percentiles(part, name, rounds):
    points = [dict(r["percentiles_ms"]) for r in rounds]
    values = {f"{column}, ms": [p[at] for p in points] for column, at in COLUMNS.items()}
    part.row("At a fixed rate", name, values, rounds[0]["commands"],
             curve=[[at, statistics.median(p[at] for p in points)] for at in points[0]])
    return values


def rates(part):
    seconds = part.options.seconds

    def maximum_rate():
        with warm_gateway(seconds, "--http-threads", "1") as gateway:
            return measure(gateway.server, gateway.http, 0, 20_000 * seconds)

    def at(share, server, address):
        rate = maximum * share / 100
        return measure(server, address, rate, int(rate * 2 * seconds))

    def all_shares():
        with warm_gateway(seconds, "--http-threads", "1") as gateway:
            return {share: at(share, gateway.server, gateway.http) for share in SHARES}

    def nginx():
        address = free_address()
        with peers.nginx(address) as server:
            return at(HALF, server, address)

    best = part.interleave({"maximum": maximum_rate})["maximum"]
    per_second = [r["per_second"] for r in best]
    maximum = statistics.median(per_second)
    part.row("The maximum", f"{CONNECTIONS} connections, each sending again at once", {"answers/s": per_second},
             best[0]["commands"])
    results = part.interleave({"gateway": all_shares, "nginx": nginx})
    for share, rounds in by_key({"gateway": results["gateway"]}).items():
        values = percentiles(part, f"{share}% of the maximum, {maximum * share / 100:,.0f}/s", rounds)
        if share == HALF:
            part.target("99.9th percentile at half of the maximum", "ms", values["p99.9, ms"], at_most=5)
    percentiles(part, f"nginx, which does nothing, at {HALF}%", results["nginx"])


STEPS = {"rates": rates}
