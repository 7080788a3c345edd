"""The Helm chart: installed, tested, upgraded and rolled back under load, on its own and as a sidecar."""
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections import Counter

import yaml

from tests.kubernetes.cluster import STATE, until
from tests.kubernetes.credentials import key_pair, secret
from tests.kubernetes.trial import check, scenario
from tests.kubernetes.workload import GATEWAY, MMSMO, NAME, TEST_IDENTITY, Workload

CHART, EXAMPLE = "deploy/helm/mmsmo-gateway", "deploy/helm/example"
SERVER_NAME = "mms.test"
BROKEN = '\n[[endpoint]]\nname = "without a path"\n'
CHANGED = '\n[[subscription]]\nname = "another"\nstart = "latest"\n'


class Release(Workload):
    """A release of a chart."""
    release = NAME

    def __init__(self, namespace, chart, values_file):
        super().__init__(namespace)
        self.chart = chart
        with open(values_file) as file:
            self.values = yaml.safe_load(file)
        self.documents = [secret("mms-consumer", {"password": "change-me"})]

    def settings(self):
        """The chart's part of the values."""
        return self.values

    def create(self):
        super().create()
        self.helm("install", self.release, self.chart)
        return self

    def helm(self, *arguments):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump(self.values, file)
            file.flush()
            values = ("--values", file.name) if arguments[0] in ("install", "upgrade") else ()
            done = subprocess.run(["script/helm", "--namespace", self.namespace, *arguments, *values],
                                  capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            raise AssertionError(f"helm {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def upgrade(self, more):
        """To a configuration with more in it."""
        self.settings()["config"] += more
        self.helm("upgrade", self.release, self.chart)


class Sidecar(Release):
    """The example, whose application handles what it acknowledges."""

    def __init__(self, namespace):
        super().__init__(namespace, EXAMPLE, EXAMPLE + "/values.yaml")
        self.settings()["config"] += TEST_IDENTITY

    def settings(self):
        return self.values[GATEWAY]

    def handled(self):
        subscription = json.loads(self.mmsmo("subscription", "get", NAME, "--json"))
        return Counter() if int(subscription.get("backlogCount", 0)) else Counter(set(self.published()))


class Alone(Release):
    """A gateway of its own, to which a subscriber on the node connects over TLS."""
    name = f"{NAME}-{GATEWAY}"

    def __init__(self, namespace):
        super().__init__(namespace, CHART, "tests/kubernetes/values/statefulset.yaml")
        self.folder = f"{STATE}/{namespace}"
        self.values["secrets"] = ["mms-consumer"]
        self.values["test"] = {"serverName": SERVER_NAME}
        self.settings()["config"] += f'\n[[subscription]]\nname = "{NAME}"\nstart = "earliest"\nmax-attempts = 1\n'
        self.subscriber, self.stopping = None, False

    def create(self):
        os.makedirs(self.folder)
        pair, token = key_pair(SERVER_NAME), "a-token-of-the-test"
        for name, text in {"tls.crt": pair["tls.crt"], "token": token}.items():
            with open(f"{self.folder}/{name}", "w") as file:
                file.write(text)
        self.documents = [secret("mms-consumer", {"password": "change-me", "token": token}),
                          secret("mms-grpc-tls", {**pair, "ca.crt": pair["tls.crt"]})]
        super().create()
        self.subscriber = threading.Thread(target=self.subscribe, daemon=True)
        self.subscriber.start()
        return self

    def seen(self, kind, pod):
        if pod["metadata"]["name"] == f"{self.name}-0":  # and not the one of `helm test`
            super().seen(kind, pod)

    def address(self):
        pod = self.pod()
        return pod and pod["status"].get("podIP")

    def command(self, address, *arguments):
        return [MMSMO, "--grpc", f"{address}:9090", "--ca", self.folder + "/tls.crt", "--server-name", SERVER_NAME,
                "--token-file", self.folder + "/token", *arguments]

    def mmsmo(self, *arguments):
        done = subprocess.run(self.command(self.address(), *arguments), capture_output=True, text=True, timeout=120)
        check(done.returncode == 0, done.stderr)
        return done.stdout

    def subscribe(self):
        """Follows the pod, whose address a Service would hide if anything here carried its traffic."""
        number = 0
        while not self.stopping:
            address = until("the pod has an address", self.address, 300)
            number += 1
            with open(f"{self.handled_folder}/{number}", "w") as output:
                process = subprocess.Popen(self.command(address, "subscribe", NAME, "--json"), stdout=output,
                                           stderr=subprocess.DEVNULL)
                until("the pod is another", lambda: self.stopping or self.address() != address
                      or process.poll() is not None, 3600)
                process.terminate()
                process.wait()

    def delete(self):
        self.stopping = True
        if self.subscriber is not None:
            self.subscriber.join()
        super().delete()
        shutil.rmtree(self.folder, ignore_errors=True)


def upgrade_under_load(trial, then):
    """To another configuration; the load goes on for so many seconds behind it."""
    workload = trial.workload
    trial.load_for(3)
    before = workload.pod()["metadata"]["uid"]
    workload.upgrade(CHANGED)
    workload.wait_for_another_pod(before)
    trial.load_for(then)
    check("another" in workload.mmsmo("subscription", "list"), "the upgrade has no effect")


def upgrade_and_roll_back(trial, note):
    """Under load: to another configuration, to one with which no gateway starts, and back."""
    workload = trial.workload
    upgrade_under_load(trial, then=3)
    before = workload.pod()["metadata"]["uid"]
    workload.upgrade(BROKEN)
    until("the broken gateway ends with 2", lambda: workload.pod()["metadata"]["uid"] != before and workload.status(
        GATEWAY).get("lastState", {}).get("terminated", {}).get("exitCode") == 2, 120)
    before = workload.pod()["metadata"]["uid"]
    workload.helm("rollback", workload.release)
    workload.wait_for_another_pod(before)
    trial.load_for(3)
    trial.note(note)


@scenario
def chart(trial):
    trial.workload = workload = Alone(trial.name)
    trial.begin(service=workload.name)
    workload.helm("test", workload.release)
    upgrade_and_roll_back(trial, "helm test passed; upgraded, broken by an upgrade, rolled back")


@scenario
def chart_sidecar(trial):
    subprocess.run(["script/helm", "dependency", "build", EXAMPLE], check=True, capture_output=True)
    trial.workload = Sidecar(trial.name)
    trial.begin(service=f"{NAME}-{GATEWAY}")
    upgrade_and_roll_back(trial, "upgraded, broken by an upgrade, rolled back")
