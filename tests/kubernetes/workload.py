"""deploy/kubernetes/sidecar.yaml as it is, but for what a test has to see: its application writes what it handled into
a folder of the node, two failures make a dead letter, and the node's root may look into everything."""
import glob
import os
import re
import shutil
import subprocess
from collections import Counter

import yaml

from tests.kubernetes.cluster import STATE, Watch, apply, kubectl, until
from tests.kubernetes.credentials import secret

NAME = "mms-consumer"
GATEWAY, APPLICATION = "mmsmo-gateway", "application"
MANIFEST = "deploy/kubernetes/sidecar.yaml"
MMSMO = "build/release/client/mmsmo"
CONSUME = "mmsmo --grpc unix:/run/mmsmo/gateway.sock subscribe mms-consumer --json"
TEST_IDENTITY = '\n[[identity]]\nname = "test"\nuid = [0]\nallow = ["admin"]\n'


def named(items, name):
    return next(item for item in items if item["name"] == name)


# What an application holds alone when it is killed counts as one failure; anywhere else nothing may fail at all.
KILLS_THE_APPLICATION = ("application-killed", "application-crashes", "grace-used-up")


class Workload:
    """The manifest in a namespace of its own."""
    name = NAME  # of its StatefulSet

    def __init__(self, namespace):
        self.namespace = namespace
        self.handled_folder = f"{STATE}/handled/{namespace}"
        with open(MANIFEST) as file:
            self.documents = [secret(NAME, {"password": "change-me"}), *yaml.safe_load_all(file)]
        self.pods = {}  # by uid, as they were seen last
        config = self.document("ConfigMap")["data"]
        config["gateway.toml"] = config["gateway.toml"].replace(
            "max-attempts = 5", f"max-attempts = {2 if namespace in KILLS_THE_APPLICATION else 1}") + TEST_IDENTITY
        self.pod_spec["volumes"].append({"name": "handled", "hostPath": {"path": self.handled_folder}})
        self.application["volumeMounts"].append({"name": "handled", "mountPath": "/handled"})
        self.run_in_application(f"exec {CONSUME}")

    def document(self, kind):
        return next(one for one in self.documents if one["kind"] == kind)

    @property
    def pod_spec(self):
        return self.document("StatefulSet")["spec"]["template"]["spec"]

    @property
    def gateway(self):
        return named(self.pod_spec["initContainers"], GATEWAY)

    @property
    def application(self):
        return named(self.pod_spec["containers"], APPLICATION)

    def run_in_application(self, script):
        """What is printed to standard output counts as handled."""
        self.application["command"] = ["sh", "-c"]
        self.application["args"] = [f"exec >/handled/$(date +%s%N); {script}"]

    def create(self):
        kubectl("create", "namespace", self.namespace)
        os.makedirs(self.handled_folder)
        os.chown(self.handled_folder, 10001, 10001)
        self.watch = Watch(f"/api/v1/namespaces/{self.namespace}/pods", self.seen)
        self.update()
        return self

    def seen(self, kind, pod):
        self.pods[pod["metadata"]["uid"]] = pod

    def update(self):
        apply(self.namespace, self.documents)

    def pod(self):
        """The pod that is there, as it is; else the one that was there last."""
        return max(list(self.pods.values()), default=None, key=lambda pod: (
            "deletionTimestamp" not in pod["metadata"], pod["metadata"]["creationTimestamp"]))

    def status(self, container, pod=None):
        status = (pod or self.pod() or {}).get("status", {})
        found = [one for one in status.get("initContainerStatuses", []) + status.get("containerStatuses", [])
                 if one["name"] == container]
        return found[0] if found else {}

    def is_ready(self):
        pod = self.pod()
        return pod and "deletionTimestamp" not in pod["metadata"] and any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in pod["status"].get("conditions", []))

    def wait_until_ready(self, seconds=120):
        until("the pod is ready", self.is_ready, seconds)

    def wait_for_another_pod(self, uid, seconds=150):
        until("another pod is ready",
              lambda: self.is_ready() and self.pod()["metadata"]["uid"] != uid, seconds)

    def delete_pod(self):
        kubectl("delete", "pod", f"{self.name}-0", "--namespace", self.namespace, "--wait=false")

    def mmsmo(self, *arguments):
        """The command on the node, over the pod's socket, whose path is too long for a socket's address."""
        link = f"{STATE}/socket"
        folder = f"{STATE}/kubelet/pods/{self.pod()['metadata']['uid']}/volumes/kubernetes.io~empty-dir/socket"
        if os.path.lexists(link):
            os.remove(link)
        os.symlink(folder, link)
        done = subprocess.run([MMSMO, "--grpc", f"unix:{link}/gateway.sock", *arguments], capture_output=True,
                              text=True, timeout=120)
        if done.returncode != 0:
            raise AssertionError(f"mmsmo {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def published(self):
        """How often each tracking id is in the log."""
        return tracking_ids(self.mmsmo("tail", "--from", "earliest", "--json", "--until-caught-up"))

    def handled(self):
        """How often the application handled each tracking id."""
        total = Counter()
        for path in glob.glob(self.handled_folder + "/*"):
            with open(path, errors="replace") as file:
                total += tracking_ids(file.read())
        return total

    def dead_letters(self):
        return self.mmsmo("dead-letters", "list", NAME, "--json").splitlines()

    def log(self, container, previous=False):
        return kubectl("logs", "--namespace", self.namespace, f"{self.name}-0", "-c", container,
                       *(["--previous"] if previous else []), check=False)

    def delete(self):
        self.watch.stop()
        kubectl("delete", "namespace", self.namespace, "--wait=false", "--cascade=background")
        kubectl("delete", "pods", "--all", "--namespace", self.namespace, "--grace-period=1", "--wait=true",
                "--timeout=60s", check=False)
        shutil.rmtree(self.handled_folder, ignore_errors=True)


def tracking_ids(lines):
    # A line that a killed application began is none.
    return Counter(re.findall(r'"trackingId":\s*"([^"]*)".*\n', lines))
