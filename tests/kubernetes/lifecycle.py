"""What a workload goes through when all is well."""
import json
import os
import time

from tests.kubernetes.cluster import kubectl, process_of, seconds_of, until
from tests.kubernetes.trial import check, scenario
from tests.kubernetes.workload import APPLICATION, GATEWAY, NAME


def start_time_of(pid):
    """When a process began, in seconds since 1970, to a hundredth."""
    boot = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    with open(f"/proc/{pid}/stat") as file:
        ticks = int(file.read().rsplit(")", 1)[1].split()[19])
    return boot + ticks / os.sysconf("SC_CLK_TCK")


def milliseconds_to_serve(workload):
    """From the start of the gateway's process until it says that it serves, and when that was."""
    lines = [json.loads(line) for line in workload.log(GATEWAY).splitlines()]
    serving = next(seconds_of(line["time"]) for line in lines if line["message"].startswith("admin: "))
    return 1000 * (serving - start_time_of(process_of(workload.status(GATEWAY)))), serving


@scenario
def start(trial):
    """The application starts once the gateway serves, and needs no second try."""
    trial.begin()
    workload = trial.workload
    gateway, application = workload.status(GATEWAY), workload.status(APPLICATION)
    check(gateway["started"] and application["restartCount"] == 0, application)
    milliseconds, serving = milliseconds_to_serve(workload)
    application_begun = start_time_of(process_of(application))
    check(serving <= application_begun + 0.02, f"the application began {serving - application_begun} s too early")
    check(workload.log(APPLICATION) == "", workload.log(APPLICATION))
    trial.note(f"the gateway served {milliseconds:.0f} ms after its start, "
               f"the application began {application_begun - serving:.1f} s later")
    trial.load_for(5)


@scenario
def rollout(trial):
    """kubectl rollout restart, twice."""
    trial.begin()
    for _ in range(2):
        trial.load_for(3)
        trial.check_ended_well(trial.replace_pod(
            lambda: kubectl("rollout", "restart", f"statefulset/{NAME}", "--namespace", trial.name)))
    trial.load_for(3)


@scenario
def pod_deleted(trial):
    trial.begin()
    trial.load_for(3)
    trial.check_ended_well(trial.replace_pod(trial.workload.delete_pod))
    trial.load_for(3)


@scenario
def node_drained(trial):
    """Cordon, evict, uncordon."""
    def drain():
        uid = trial.workload.pod()["metadata"]["uid"]
        try:
            kubectl("drain", "node", "--pod-selector", f"app={NAME}", "--delete-emptydir-data", "--ignore-daemonsets",
                    "--timeout=120s")
            until("another pod waits for a node", lambda: trial.workload.pod()["metadata"]["uid"] != uid)
        finally:
            kubectl("uncordon", "node")

    trial.begin()
    trial.load_for(3)
    trial.check_ended_well(trial.replace_pod(drain))
    trial.load_for(3)


def cgroup_file(pid, controller, *names):
    """The content of the first of these files that the process' cgroup has, in version 1 or 2."""
    with open(f"/proc/{pid}/cgroup") as file:
        paths = [line.rstrip("\n").split(":", 2)[1:] for line in file]
    for controllers, path in paths:
        for root in (f"/sys/fs/cgroup/{controllers}", "/sys/fs/cgroup"):
            for name in names:
                if controller in controllers.split(",") + [""] and os.path.exists(f"{root}{path}/{name}"):
                    with open(f"{root}{path}/{name}") as file:
                        return file.read()
    raise AssertionError(f"no {names} of {pid}")


@scenario
def idle(trial):
    """What a sidecar costs that has nothing to do, and how soon it serves when it is started again."""
    workload = trial.workload
    trial.begin(rate=20)
    trial.load_for(3)
    trial.load.stop()
    trial.replace_pod(workload.delete_pod)
    time.sleep(5)
    pid = process_of(workload.status(GATEWAY))
    milliseconds, _ = milliseconds_to_serve(workload)
    cpu = lambda: int(cgroup_file(pid, "cpuacct", "cpuacct.usage")) / 1e9
    begin, used = time.monotonic(), cpu()
    time.sleep(60)
    percent = 100 * (cpu() - used) / (time.monotonic() - begin)
    memory = int(cgroup_file(pid, "memory", "memory.usage_in_bytes", "memory.current")) / 2**20
    stat = dict(line.split() for line in cgroup_file(pid, "memory", "memory.stat").splitlines())
    files = int(stat.get("total_cache", stat.get("file", 0))) / 2**20
    with open(f"/proc/{pid}/status") as file:
        resident = dict(line.split(":", 1) for line in file)
    resident, own = (int(resident[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon"))
    trial.note(f"idle: {percent:.2f} % of a core, {memory:.0f} MiB charged to its cgroup ({files:.0f} of it files), "
               f"{resident:.0f} MiB resident ({own:.0f} of it its own); served {milliseconds:.0f} ms after its start")
    check(percent < 0.2, f"{percent:.2f} % of a core")
    check(memory < 32, f"{memory:.1f} MiB")
    check(milliseconds < 200, f"served after {milliseconds:.0f} ms")
