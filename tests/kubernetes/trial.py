"""One scenario: its workload, its load, and whether the promises were kept."""
import time

from tests.kubernetes.cluster import until
from tests.kubernetes.load import Load
from tests.kubernetes.workload import APPLICATION, GATEWAY, Workload

SCENARIOS = {}


def scenario(function):
    SCENARIOS[function.__name__.replace("_", "-")] = function
    return function


def check(holds, what):
    if not holds:
        raise AssertionError(what)


class Trial:
    def __init__(self, name):
        self.name = name
        self.workload = Workload(name)
        self.load = None
        self.notes = []

    def begin(self, **options):
        """Creates the workload; once it is ready it is under load."""
        self.workload.create()
        self.workload.wait_until_ready()
        self.begin_load(**options)

    def begin_load(self, **options):
        self.load = Load(self.name, **options)

    def load_for(self, seconds):
        """Lets so much be answered as comes in that time when all is well."""
        wanted = self.load.count() + int(seconds * self.load.rate * 0.9)
        until(f"{wanted} answers", lambda: self.load.count() >= wanted, seconds + 150)

    def replace_pod(self, remove):
        """Takes the pod that is there away, until another one is ready; returns it as it ended."""
        uid = self.workload.pod()["metadata"]["uid"]
        remove()
        self.workload.wait_for_another_pod(uid)
        return self.workload.pods[uid]

    def note(self, text):
        self.notes.append(text)

    def check_ended_well(self, pod):
        """The gateway ended after the application, and both with 0."""
        ends = {name: self.workload.status(name, pod).get("state", {}).get("terminated", {})
                for name in (GATEWAY, APPLICATION)}
        check(all(end.get("exitCode") == 0 for end in ends.values()), f"not all ended with 0: {ends}")
        check(ends[APPLICATION]["finishedAt"] <= ends[GATEWAY]["finishedAt"], f"the gateway ended first: {ends}")

    def finish(self):
        """Stops the load, and compares what was answered with what was published and handled."""
        if self.load is None:
            return "its journal went with it"
        self.load.stop()
        answered = set(self.load.answered)
        published = self.workload.published()
        deadline = time.monotonic() + 60
        while answered - set(handled := self.workload.handled()) and time.monotonic() < deadline:
            time.sleep(0.2)
        lost, twice = len(answered - set(published)), sum(count > 1 for count in published.values())
        unhandled = len(answered - set(handled))
        failures = self.workload.dead_letters()
        text = (f"{len(answered)} answered, {lost} lost, {twice} twice, {unhandled} not handled, "
                f"{sum(count > 1 for count in handled.values())} handled again, {len(failures)} failed attempts, "
                f"longest without an answer {self.load.longest_gap():.2f} s")
        if self.load.refused:
            text += "; not answered 200: " + ", ".join(f"{n} {what}" for what, n in self.load.refused.items())
        check(answered, "nothing was answered")
        check(self.load.begun - len(answered) == 0, f"{self.load.begun - len(answered)} never answered: {text}")
        check(not (lost or twice or unhandled or failures), "\n".join([text, *failures]))
        return text
