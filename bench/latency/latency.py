"""Latency of the answer at fixed rates, counted from the moment a postback was due (an open loop: a wait for a free
connection counts)."""
import statistics

from bench.ingest.ingest import warm_gateway
from bench.part import by_key
from bench.server import LOAD, load, url

SHARES = (10, 25, 50, 75)  # of the maximum, in per cent
COLUMNS = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999, "max": 1.0}
CONNECTIONS = 256


def measure(gateway, rate, count):
    command = [LOAD, "ingest", "--url", url(gateway.http), "--rate", f"{rate:.0f}", "--count", str(count),
               "--connections", str(CONNECTIONS)]
    found = load(command)
    gateway.server.settle(0.25)
    return found | {"commands": [gateway.server.command, command]}


def rates(part):
    seconds = part.options.seconds

    def maximum_rate():
        with warm_gateway(seconds, "--http-threads", "1") as gateway:
            return measure(gateway, 0, 20_000 * seconds)

    def all_shares():
        with warm_gateway(seconds, "--http-threads", "1") as gateway:
            return {share: measure(gateway, maximum * share / 100, int(maximum * share / 100 * 2 * seconds))
                    for share in SHARES}

    best = part.interleave({"maximum": maximum_rate})["maximum"]
    per_second = [r["per_second"] for r in best]
    maximum = statistics.median(per_second)
    part.row("The maximum", f"{CONNECTIONS} connections, each sending again at once", {"answers/s": per_second},
             best[0]["commands"])
    results = by_key(part.interleave({"rates": all_shares}))
    for share, rounds in results.items():
        points = [dict(r["percentiles_ms"]) for r in rounds]
        values = {f"{name}, ms": [p[at] for p in points] for name, at in COLUMNS.items()}
        part.row("At a fixed rate", f"{share}% of the maximum, {maximum * share / 100:,.0f}/s", values,
                 rounds[0]["commands"], curve=[[at, statistics.median(p[at] for p in points)] for at in points[0]])
        if share == 50:
            part.target("99.9th percentile at half of the maximum", "ms", values["p99.9, ms"], at_most=5)


STEPS = {"rates": rates}
