"""Who may do what, and how secrets are exchanged."""
import copy
import re
import ssl
import time
import urllib.request

from tests.kubernetes.cluster import apply, until
from tests.kubernetes.credentials import key_pair, secret
from tests.kubernetes.trial import check, scenario
from tests.kubernetes.workload import GATEWAY, CONSUME


def metric(trial, series):
    address = trial.load.addresses.all()[0][0]
    with urllib.request.urlopen(f"http://{address}:9091/metrics", timeout=5) as answer:
        found = re.search("^" + re.escape(series) + r" (\S+)$", answer.read().decode(), re.MULTILINE)
    return float(found.group(1)) if found else 0.0


@scenario
def other_user(trial):
    """An application of another user id subscribes over the socket, and is known by it; a third one is refused."""
    stranger = copy.deepcopy(trial.workload.application)
    stranger["name"] = "stranger"
    stranger["securityContext"]["runAsUser"] = 10002
    stranger["args"] = [f"exec >&2; {CONSUME}; echo ended with $?; exec sleep 1000"]
    trial.workload.pod_spec["containers"].append(stranger)
    trial.begin()
    trial.load_for(5)
    until("the stranger is answered", lambda: "ended with" in trial.workload.log("stranger"), 30)
    said = trial.workload.log("stranger")
    check("this gateway has to know who calls" in said and "ended with 1" in said, said)
    calls = metric(trial, 'mmsmo_identity_calls_total{identity="application"}')
    check(calls > 0, f"the gateway counts {calls} calls of the application")
    trial.note(f"the application is known: {calls:.0f} calls; the stranger: {said.splitlines()[0]}")


def certificate(number):
    """With a number to know it by."""
    return secret("certificate", key_pair(f"number-{number}"), "kubernetes.io/tls")


@scenario
def secrets_rotated(trial):
    """The password and the certificate change in their Secrets; nothing is started again."""
    workload = trial.workload
    workload.gateway["args"].remove("--insecure=http")
    workload.gateway["args"] += ["--http-tls-cert=/etc/mmsmo/tls/tls.crt", "--http-tls-key=/etc/mmsmo/tls/tls.key"]
    workload.gateway["volumeMounts"].append({"name": "tls", "mountPath": "/etc/mmsmo/tls", "readOnly": True})
    workload.pod_spec["volumes"].append({"name": "tls", "secret": {"secretName": "certificate", "defaultMode": 0o440}})
    workload.documents.append(certificate(1))
    trial.begin(tls=True, passwords=("change-me", "changed"))
    trial.load_for(3)
    served = lambda: ssl.get_server_certificate(trial.load.addresses.all()[0])
    before = served()
    begin = time.monotonic()
    apply(trial.name, [secret("mms-consumer", {"password": "changed"}), certificate(2)])
    until("the new certificate is served", lambda: served() != before, 120)
    until("only the new password is valid", lambda: trial.load.refused[401] > 0, 120)
    trial.note(f"both were in force {time.monotonic() - begin:.0f} s after they had changed")
    trial.load_for(5)
    check(trial.load.refused[401] < 50, f"{trial.load.refused[401]} were refused with either password")
    check(workload.status(GATEWAY)["restartCount"] == 0, "the gateway was started again")
