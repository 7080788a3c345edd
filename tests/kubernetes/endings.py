"""How pods end."""
from tests.kubernetes.cluster import kubectl, until
from tests.kubernetes.trial import check, scenario
from tests.kubernetes.workload import APPLICATION, GATEWAY, NAME, CONSUME


@scenario
def grace_used_up(trial):
    """An application that uses all of the grace: the gateway is killed with it, and nothing is lost."""
    trial.workload.pod_spec["terminationGracePeriodSeconds"] = 8
    trial.workload.run_in_application(f"trap '' TERM; {CONSUME}; while :; do sleep 1; done")
    trial.begin()
    trial.load_for(3)
    ended = trial.replace_pod(trial.workload.delete_pod)
    codes = {name: trial.workload.status(name, ended)["state"]["terminated"]["exitCode"]
             for name in (GATEWAY, APPLICATION)}
    check(codes[APPLICATION] == 137, codes)
    trial.note(f"exit codes {codes}")
    trial.load_for(3)


@scenario
def job(trial):
    """A Job with the sidecar completes once its application has handled what it waits for."""
    workload = trial.workload
    stateful_set = workload.document("StatefulSet")
    workload.run_in_application(f"exec {CONSUME} --count 100")
    workload.pod_spec["restartPolicy"] = "Never"
    workload.pod_spec["volumes"].append({"name": "journal", "emptyDir": {}})
    workload.documents.remove(stateful_set)
    workload.documents.append({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": NAME},
                               "spec": {"template": stateful_set["spec"]["template"], "backoffLimit": 0}})
    workload.create()
    until("its application runs", lambda: "running" in workload.status(APPLICATION).get("state", {}))
    trial.begin_load(rate=20)
    until("the job completes", lambda: kubectl("get", "job", NAME, "--namespace", trial.name, "-o",
                                               "jsonpath={.status.succeeded}") == "1", 90)
    trial.check_ended_well(workload.pod())
    trial.load.stop(0)
    handled = len(workload.handled())
    check(handled == 100, f"{handled} handled")
    trial.note(f"{len(trial.load.answered)} answered, {handled} handled as the application wanted")
    trial.load = None  # its journal went with it
