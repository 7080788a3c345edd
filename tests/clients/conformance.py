"""Plays every scenario of scenarios.toml with one language's runner: conformance.py [--kills] RUNNER [ARGUMENT…].
--kills: the gateway is killed and started again before every step, but in scenarios that say `kills = false`. With
MMSMO_SCENARIO only those whose name has that text. Exits with 1 if one fails."""
import concurrent.futures
import os
import sys
import time
import tomllib
import traceback

from tests.clients.runner import Runner
from tests.clients.scene import Scene

HERE = os.path.dirname(__file__)
DEFAULTS = os.path.join(HERE, "..", "..", "client", "defaults.toml")
AT_ONCE = 4  # they mostly wait


def has_the_defaults(command):
    with open(DEFAULTS, "rb") as file:
        wanted = tomllib.load(file)
    runner = Runner(command)
    runner.do(do="defaults")
    runner.until("the runner has not said its defaults", lambda: runner.said("defaults"))
    values = {name: value for name, value in runner.said("defaults")[0].items() if name not in ("event", "at")}
    runner.close()
    assert values == wanted, {name: (values.get(name), wanted.get(name)) for name in {*values, *wanted}
                              if values.get(name) != wanted.get(name)}


def plays(command, scenario, kills):
    with Scene(command, scenario.get("flags", ()), scenario.get("identities"), kills) as scene:
        scene.play(scenario["steps"])


def main(command):
    kills = command[0] == "--kills"
    command = command[kills:]
    with open(os.path.join(HERE, "scenarios.toml"), "rb") as file:
        scenarios = tomllib.load(file)["scenario"]
    text = os.environ.get("MMSMO_SCENARIO", "")
    trials = {one["name"]: (plays, command, one, kills) for one in scenarios
              if one.get("kills", True) or not kills}
    trials["has the defaults of every language"] = (has_the_defaults, command)

    def tried(name):
        begin = time.monotonic()
        function, *arguments = trials[name]
        try:
            function(*arguments)
            failure = ""
        except BaseException:  # of any kind: it is one scenario's
            failure = traceback.format_exc(limit=-6)
        print(f"{'FAILED' if failure else 'ok'} {name} ({time.monotonic() - begin:.1f} s)\n{failure}", end="", flush=True)
        return not failure

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(tried, [name for name in trials if text in name]))
    print(f"{sum(results)} of {len(results)} passed")
    return 0 if results and all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
