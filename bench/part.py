"""One part of the bench: what it measured, kept as JSON so that the document can be made without measuring again."""
import contextlib
import json
import os
import re
import statistics
import sys
import time

from bench.server import ROOT, Failed, sync_micros


def shown(command):
    """A command line without what is only of this machine or this run."""
    text = " ".join(command).replace(ROOT + "/", "")
    text = re.sub(r"\S*build/bench/data-\w+", "DIR", text)
    text = re.sub(r"(127\.0\.0\.1:|-port )\d+", r"\1PORT", text)
    text = re.sub(r"(postback\.\w+) \d+", r"\1 FIRST", text)
    return re.sub(r"(x{3}|-cp )(x{17,}|\S+:\S+)", r"\1…", text)


def machine():
    with open("/proc/cpuinfo") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    system = os.uname()
    return {"cpu": model[1] if model else system.machine, "cores": os.cpu_count(),
            "kernel": f"{system.sysname} {re.match('[0-9.]+', system.release)[0]}", "fdatasync_micros": sync_micros()}


def by_key(results):
    """Of measurements that return several things by key: {key: its rounds}."""
    found = {}
    for rounds in results.values():
        for measured in rounds:
            for key, value in measured.items():
                found.setdefault(key, []).append(value)
    return found


def ratios(some, others):
    return [one / other for one, other in zip(some, others)]


class Part:
    def __init__(self, name, options):
        self.name, self.options = name, options
        self.data = {"part": name, "rounds": options.rounds, "seconds": options.seconds, "machine": machine(),
                     "rows": [], "targets": [], "failures": []}
        self.begin = time.monotonic()
        print(f"\n{name}: {options.rounds} rounds; fdatasync here: median "
              f"{self.data['machine']['fdatasync_micros']:.0f} µs", flush=True)

    @contextlib.contextmanager
    def attempt(self, what):
        """The rest goes on when this fails; the bench as a whole then fails at its end."""
        try:
            yield
        except Exception as error:  # whatever it is, the rest is worth measuring
            text = f"{what}: {error}" if isinstance(error, Failed) else f"{what}: {error!r}"
            self.data["failures"].append(text)
            print(f"  FAILED: {text}", file=sys.stderr, flush=True)

    def interleave(self, measurements):
        """Every measurement once a round, in turn: {name: what it returned}. One that fails is left out."""
        results = {name: [] for name in measurements}
        for _ in range(self.options.rounds):
            for name in list(results):
                count = len(results[name])
                with self.attempt(str(name)):
                    results[name].append(measurements[name]())
                if len(results[name]) == count:
                    del results[name]
        return results

    def row(self, table, name, values, commands=(), than=None, **at):
        """`values`: rounds by what they are and their unit; a table's rows have the same. `than` names the row of the
        table with which the first of them is compared, round by round; `at` is what else a chart needs."""
        self.data["rows"].append({"table": table, "name": name, "values": values, "than": than,
                                  "commands": [shown(command) for command in commands], **at})
        medians = ", ".join(f"{statistics.median(rounds):,.2f} {what}" for what, rounds in values.items())
        print(f"  {table + ': ' + name:<72} {medians}", flush=True)

    def target(self, what, unit, rounds, at_least=None, at_most=None):
        """A promise that the median of the rounds keeps or not."""
        value = statistics.median(rounds)
        reached = value >= at_least if at_least is not None else value <= at_most
        bound = f"at least {at_least:,}" if at_least is not None else f"at most {at_most:,}"
        self.data["targets"].append({"what": what, "unit": unit, "rounds": rounds, "bound": bound, "reached": reached})
        print(f"  {what:<72} {value:>14,.2f} {unit}   (target: {bound}: {'reached' if reached else 'NOT REACHED'})",
              flush=True)

    def save(self, directory):
        os.makedirs(directory, exist_ok=True)
        self.data["minutes"] = (time.monotonic() - self.begin) / 60
        with open(os.path.join(directory, self.name + ".json"), "w") as file:
            json.dump(self.data, file, indent=1)
