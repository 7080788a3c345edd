"""What a workload goes through when all is well."""
import json
import os
import time

from tests.kubernetes.cluster import kubectl, process_of, seconds_of, until
from tests.kubernetes.trial import check, scenario
from tests.kubernetes.workload import APPLICATION, GATEWAY, NAME


def start_time_of(pid):
    """When a process began, in seconds since 1970."""
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    with open(f"/proc/{pid}/stat") as file:
        ticks = int(file.read().rsplit(")", 1)[1].split()[19])
    return boot + ticks / os.sysconf("SC_CLK_TCK")


@scenario
def start(trial):
    """The application starts once the gateway serves, and needs no second try."""
    trial.begin()
    workload = trial.workload
    gateway, application = workload.status(GATEWAY), workload.status(APPLICATION)
    check(gateway["started"] and application["restartCount"] == 0, application)
    lines = [json.loads(line) for line in workload.log(GATEWAY).splitlines()]
    serving = next(seconds_of(line["time"]) for line in lines if line["message"].startswith("admin: "))
    begun, application_begun = (start_time_of(process_of(one)) for one in (gateway, application))
    check(serving <= application_begun + 0.02, f"the application began {serving - application_begun} s too early")
    check(workload.log(APPLICATION) == "", workload.log(APPLICATION))
    trial.note(f"the gateway served {1000 * (serving - begun):.0f} ms after its start, "
               f"the application began {application_begun - serving:.1f} s later")
    trial.load_for(5)


@scenario
def rollout(trial):
    """kubectl rollout restart, twice."""
    trial.begin()
    for _ in range(2):
        trial.load_for(3)
        pod = trial.workload.pod()
        kubectl("rollout", "restart", f"statefulset/{NAME}", "--namespace", trial.name)
        trial.workload.wait_for_another_pod(pod["metadata"]["uid"])
        trial.check_ended_well(trial.workload.pods[pod["metadata"]["uid"]])
    trial.load_for(3)


@scenario
def pod_deleted(trial):
    trial.begin()
    trial.load_for(3)
    pod = trial.workload.pod()
    kubectl("delete", "pod", f"{NAME}-0", "--namespace", trial.name, "--wait=false")
    trial.workload.wait_for_another_pod(pod["metadata"]["uid"])
    trial.check_ended_well(trial.workload.pods[pod["metadata"]["uid"]])
    trial.load_for(3)


@scenario
def node_drained(trial):
    """Cordon, evict, uncordon."""
    trial.begin()
    trial.load_for(3)
    pod = trial.workload.pod()
    try:
        kubectl("drain", "node", "--pod-selector", f"app={NAME}", "--delete-emptydir-data", "--ignore-daemonsets",
                "--timeout=120s")
        until("another pod waits for a node", lambda: trial.workload.pod()["metadata"]["uid"] != pod["metadata"]["uid"])
    finally:
        kubectl("uncordon", "node")
    trial.workload.wait_for_another_pod(pod["metadata"]["uid"])
    trial.check_ended_well(trial.workload.pods[pod["metadata"]["uid"]])
    trial.load_for(3)
