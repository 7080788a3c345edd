"""Runs scenarios on the cluster, and says of each what became of its postbacks: -m tests.kubernetes.run [NAME…]"""
import sys
import time
import traceback

# Each of these has scenarios.
from tests.kubernetes import lifecycle, failures, endings, access, chart, ingress, document  # noqa: F401
from tests.kubernetes.cluster import kubectl
from tests.kubernetes.trial import SCENARIOS, Trial


def describe(workload):
    print(kubectl("describe", "pods", "--namespace", workload.namespace, check=False)[-4000:])
    for container in ("mmsmo-gateway", "application"):
        print(f"-- {container}\n" + workload.log(container)[-2000:])


def run(name):
    begin = time.monotonic()
    trial = Trial(name)
    try:
        SCENARIOS[name](trial)
        figures = trial.finish()
        print("\n   ".join([f"ok {name} ({time.monotonic() - begin:.0f} s): {figures}", *trial.notes]), flush=True)
        return True
    except Exception:  # whatever it is, the others are run
        print("\n   ".join([f"FAILED {name} ({time.monotonic() - begin:.0f} s)", *trial.notes]))
        print(traceback.format_exc())
        describe(trial.workload)
        sys.stdout.flush()
        return False
    finally:
        if trial.load:
            trial.load.stop(0)
        trial.workload.delete()


def main():
    names = sys.argv[1:] or list(SCENARIOS)
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        sys.exit(f"no scenario {', '.join(unknown)}; there are {' '.join(SCENARIOS)}")
    begin = time.monotonic()
    passed = [run(name) for name in names]
    print(f"{time.monotonic() - begin:.0f} s")
    print(f"{sum(passed)} passed, {len(passed) - sum(passed)} failed")
    sys.exit(not all(passed))


main()
