"""What goes wrong: the gateway is killed, or the application is of no use."""
import os
import signal
import socket
import time

from tests.kubernetes.cluster import kubectl, process_of, until
from tests.kubernetes.trial import check, scenario
from tests.kubernetes.workload import APPLICATION, GATEWAY, CONSUME


def wait_for_restart(trial, times=1):
    workload = trial.workload
    until("the gateway was started again", lambda: workload.status(GATEWAY).get("restartCount", 0) >= times, 120)
    workload.wait_until_ready()
    check(workload.status(APPLICATION)["restartCount"] == 0, "the application was started again, too")
    return workload.status(GATEWAY)["lastState"]["terminated"]


@scenario
def gateway_killed(trial):
    """SIGKILL under load."""
    trial.begin()
    trial.load_for(3)
    os.kill(process_of(trial.workload.status(GATEWAY)), signal.SIGKILL)
    end = wait_for_restart(trial)
    check(end["exitCode"] == 137, end)
    trial.load_for(5)


@scenario
def application_not_ready(trial):
    """Postbacks are taken while the application is not ready, and handled once it subscribes."""
    trial.workload.application["readinessProbe"] = {
        "exec": {"command": ["test", "-e", "/handled/ready"]}, "periodSeconds": 1}
    trial.workload.run_in_application(f"until test -e /handled/ready; do sleep 0.2; done; exec {CONSUME}")
    trial.workload.create()
    until("the application runs", lambda: "running" in trial.workload.status(APPLICATION).get("state", {}))
    trial.begin_load()
    trial.load_for(10)
    check(not trial.workload.is_ready(), "the pod is ready although its application is not")
    open(trial.workload.handled_folder + "/ready", "w").close()
    trial.workload.wait_until_ready()
    trial.load_for(3)
    check(trial.load.longest_gap() < 2, f"{trial.load.longest_gap()} s without an answer")


@scenario
def application_crashes(trial):
    """A crash loop, in which postbacks are taken all the while; a rollout ends it."""
    trial.workload.run_in_application("sleep 1; exit 1")
    trial.workload.create()
    until("the application crashes again and again",
          lambda: trial.workload.status(APPLICATION).get("restartCount", 0) >= 1)
    trial.begin_load()
    until("the application has crashed three times",
          lambda: trial.workload.status(APPLICATION)["restartCount"] >= 3, 120)
    gap = trial.load.longest_gap()
    check(gap < 2, f"{gap} s without an answer while the application crashed")
    trial.note(f"longest without an answer while it crashed: {gap:.2f} s; the rest is the rollout")
    trial.workload.run_in_application(f"exec {CONSUME}")
    trial.workload.update()
    trial.workload.wait_for_another_pod(trial.workload.pod()["metadata"]["uid"])
    trial.load_for(3)


@scenario
def application_killed(trial):
    """SIGKILL of the application with deliveries in hand: they are delivered again."""
    trial.begin()
    trial.load_for(3)
    os.kill(process_of(trial.workload.status(APPLICATION)), signal.SIGKILL)
    until("it was started again", lambda: trial.workload.status(APPLICATION).get("restartCount", 0) >= 1)
    trial.workload.wait_until_ready()
    trial.load_for(5)
    check(trial.load.longest_gap() < 2, f"{trial.load.longest_gap()} s without an answer")


@scenario
def out_of_memory(trial):
    """The kernel kills the gateway, whose limit is below what its settings allow it."""
    trial.workload.gateway["resources"]["limits"]["memory"] = "64Mi"
    trial.begin()
    trial.load_for(3)
    # Bodies that begin and never end take up to --max-in-flight-bytes.
    head = (b"POST /postbacks/mms-mo HTTP/1.1\r\nHost: x\r\nContent-Type: application/xml\r\n"
            b"Authorization: Basic c2luY2g6Y2hhbmdlLW1l\r\nContent-Length: 262144\r\n\r\n")
    slow = []
    try:
        address = trial.load.addresses.all()[0]
        for _ in range(300):
            slow.append(socket.create_connection(address, timeout=2))
            slow[-1].sendall(head + b"x" * 262000)
    except OSError:
        pass  # it is gone already
    end = wait_for_restart(trial)
    for connection in slow:
        connection.close()
    check(end["exitCode"] == 137 and end["reason"] == "OOMKilled", end)
    trial.load_for(5)


@scenario
def liveness_fails(trial):
    """A gateway that stands still is killed by the kubelet."""
    probe = trial.workload.gateway["livenessProbe"]
    probe.update(periodSeconds=2, timeoutSeconds=1, terminationGracePeriodSeconds=5)  # as is: within a minute
    trial.begin()
    trial.load_for(3)
    os.kill(process_of(trial.workload.status(GATEWAY)), signal.SIGSTOP)
    begin = time.monotonic()
    end = wait_for_restart(trial)
    check(end["exitCode"] == 137, end)
    events = kubectl("get", "events", "--namespace", trial.name, "--field-selector", "reason=Killing", "-o", "name")
    check(events, "the kubelet killed nothing")
    trial.note(f"ready again {time.monotonic() - begin:.0f} s after it stood still")
    trial.load_for(5)
