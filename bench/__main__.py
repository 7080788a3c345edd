"""Measures the gateway beside what else would do its work, on one core each for servers and loads, and writes
docs/performance.md. See script/bench --help."""
import argparse
import os
import signal
import sys

from bench import decode, document
from bench.clients import clients
from bench.delivery import delivery
from bench.growth import growth
from bench.ingest import ingest
from bench.latency import latency
from bench.part import Part
from bench.security import security
from bench.server import ROOT, WORK

PARTS = {"ingest": ingest, "delivery": delivery, "growth": growth, "latency": latency, "decode": decode,
         "security": security, "clients": clients}
FULL = {"rounds": 5, "seconds": 2, "connections": [1, 16, 64, 256, 1024], "events": 1_000_000,
        "growth_events": [10_000, 1_000_000, 10_000_000], "growth_streams": [1, 100, 1_000, 10_000],
        "growth_subscriptions": [1, 100, 10_000], "growth_full_mib": 2_048,
        "out": os.path.join(ROOT, "docs"), "results": WORK}
QUICK = FULL | {"rounds": 2, "seconds": 1, "connections": [64, 256], "events": 20_000, "growth_events": [1_000, 60_000],
                "growth_streams": [1, 100], "growth_subscriptions": [1, 100], "growth_full_mib": 64,
                "out": os.path.join(WORK, "quick"), "results": os.path.join(WORK, "quick")}


def numbers(text):
    return [int(number) for number in text.split(",")]


def parse():
    parser = argparse.ArgumentParser(
        prog="script/bench", description="Measures; with no part named, everything, and then writes "
        "docs/performance.md. Compare ratios, and within one run only.")
    parser.add_argument("part", nargs="?", choices=PARTS, help="measure this part only, and write no document")
    parser.add_argument("--only", metavar="STEP", help="of the part, only this, and keep nothing: " + "; ".join(
        f"{name}: {', '.join(part.STEPS)}" for name, part in PARTS.items()))
    parser.add_argument("--quick", action="store_true",
                        help="does it run? few and short rounds, into build/bench/quick")
    parser.add_argument("--render", action="store_true", help="the document again, of what was measured last")
    parser.add_argument("--out", metavar="DIR", help="where the document goes; default: docs")
    parser.add_argument("--rounds", type=int, help=f"default: {FULL['rounds']}")
    parser.add_argument("--seconds", type=int, help=f"of one load; default: {FULL['seconds']}")
    parser.add_argument("--connections", type=numbers, metavar="N,…", help="of ingest; default: 1,16,64,256,1024")
    parser.add_argument("--events", type=int, help=f"stored for delivery; default: {FULL['events']}")
    parser.add_argument("--growth-events", type=numbers, metavar="N,…", help="default: 10000,1000000,10000000")
    parser.add_argument("--growth-full-mib", type=int, help=f"the log that is full; default: {FULL['growth_full_mib']}")
    options = parser.parse_args()
    for name, value in (QUICK if options.quick else FULL).items():
        if getattr(options, name, None) is None:
            setattr(options, name, value)
    if options.only and (not options.part or options.only not in PARTS[options.part].STEPS):
        parser.error("--only takes a step of the part that is named")
    return options


def measure(name, options):
    """Whether all of it could be measured."""
    part = Part(name, options)
    for step, function in PARTS[name].STEPS.items():
        if options.only in (None, step):
            with part.attempt(step):
                function(part)
    if not options.only:
        part.save(options.results)
    return part.data["failures"]


def main():
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that servers and their data go, too
    failures = []
    if not options.render:
        if len(os.sched_getaffinity(0)) < 2:
            sys.exit("the bench needs two cores: one for the servers, one for the load")
        for name in [options.part] if options.part else PARTS:
            failures += [f"{name}: {failure}" for failure in measure(name, options)]
    if not options.part:
        document.write(options.results, options.out)
        print(f"\n{os.path.relpath(os.path.join(options.out, 'performance.md'))} is written")
    if failures:
        sys.exit("\nNot everything could be measured:\n  " + "\n  ".join(failures))


if __name__ == "__main__":
    main()
