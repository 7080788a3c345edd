"""The cluster as tests see it: kubectl, and watching what changes."""
import http.client
import json
import os
import re
import ssl
import subprocess
import threading
import time

STATE = os.environ["MMSMO_KUBERNETES_DIR"]


def kubectl(*arguments, text=None, check=True):
    done = subprocess.run(["kubectl", *arguments], input=text, capture_output=True, text=True, timeout=600)
    if check and done.returncode != 0:
        raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def apply(namespace, documents):
    kubectl("apply", "--namespace", namespace, "-f", "-", text="\n---\n".join(json.dumps(one) for one in documents))


def until(what, condition, seconds=60):
    """Waits for a condition that holds, and returns it."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.05)
    return value


def process_of(container_status):
    """The first process of a container."""
    ident = container_status["containerID"].split("//")[1]
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            with open(f"/proc/{pid}/cgroup") as file:
                if ident in file.read():
                    with open(f"/proc/{pid}/cmdline") as line:
                        if not line.read().startswith("runc"):
                            return pid
        except OSError:
            pass
    raise AssertionError(f"no process of {container_status['name']}")


class Watch(threading.Thread):
    """Calls back for each object of a collection, as it is and whenever it changes, until it is stopped."""

    def __init__(self, path, seen):
        super().__init__(daemon=True)
        self.path, self.seen, self.stopping = path, seen, False
        with open(os.path.join(STATE, "tokens")) as file:
            self.token = file.read().split(",")[0]
        self.start()

    def run(self):
        while not self.stopping:
            connection = http.client.HTTPSConnection("127.0.0.1", 6443, context=ssl._create_unverified_context())
            try:
                connection.request("GET", self.path + ("&" if "?" in self.path else "?") + "watch=1",
                                   headers={"Authorization": "Bearer " + self.token})
                for line in connection.getresponse():
                    if self.stopping:
                        return
                    event = json.loads(line)
                    self.seen(event["type"], event["object"])
            except (OSError, http.client.HTTPException, json.JSONDecodeError):
                time.sleep(0.1)
            finally:
                connection.close()

    def stop(self):
        self.stopping = True


def end_with_threads():
    """A thread that fails ends its process: the cluster's own programs are not to go on half."""
    def end(failure):
        threading.__excepthook__(failure)
        os._exit(1)
    threading.excepthook = end


def seconds_of(timestamp):
    """RFC 3339 as seconds since 1970, with its fraction."""
    whole, fraction = re.fullmatch(r"([0-9T:-]+)(\.[0-9]+)?Z", timestamp).groups()
    return time.mktime(time.strptime(whole + " UTC", "%Y-%m-%dT%H:%M:%S %Z")) - time.timezone + float(fraction or 0)
