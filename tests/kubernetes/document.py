"""docs/kubernetes.md, followed from its beginning to its end."""
import os
import re
import shutil
import subprocess

from tests.kubernetes.cluster import STATE, apply, kubectl, Watch
from tests.kubernetes.trial import check, scenario

DOCUMENT = "docs/kubernetes.md"
ELSEWHERE = ("script/image",)  # what script/kubernetes has done already
# There is no DNS, of which the test of the chart knows its host.
PRELUDE = r"""
set -euo pipefail
helm() {
  if [ "${3:-}" = test ]; then
    command helm -n "$2" upgrade "$4" deploy/helm/mmsmo-gateway --reuse-values \
      --set "test.host=$(kubectl -n "$2" get pod "$4-0" -o jsonpath='{.status.podIP}')" \
      --set "test.serverName=$4-grpc.$2.svc"
  fi
  command helm "$@"
}
"""
# Once secrets and certificate are exchanged: both are in force, and what was before is not.
EXCHANGED = r"""
address=$(kubectl -n mms get pod mmsmo-gateway-0 -o jsonpath='{.status.podIP}')
post() {
  mmsmo send --url "http://$address:8080/postbacks/mms-mo" --user sinch --send-secret-unencrypted --password-file "$1"
}
served() {
  openssl s_client -connect "$address:9090" -alpn h2 </dev/null 2>/dev/null | openssl x509 -noout -fingerprint
}
wanted=$(openssl x509 -in tls.crt -noout -fingerprint)
for _ in $(seq 150); do
  ! post password.next || post password || [ "$(served)" != "$wanted" ] || exit 0
  sleep 1
done
exit 1
"""


class Volumes:
    """A folder of the node for every claim, as a provisioner makes them."""
    namespace = "document"

    def __init__(self):
        self.folders, self.made = f"{STATE}/volumes", set()
        self.watch = Watch("/api/v1/persistentvolumeclaims", self.seen)

    def seen(self, kind, claim):
        meta = claim["metadata"]
        name = f"{meta['namespace']}-{meta['name']}"[:60] + "-" + meta["uid"][:8]
        is_of_document = meta["namespace"].startswith("mms")
        if not is_of_document or name in self.made or claim["status"].get("phase") != "Pending":
            return
        self.made.add(name)
        folder = f"{self.folders}/{name}"
        os.makedirs(folder)
        os.chown(folder, 65532, 65532)
        apply("default", [{
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
            "spec": {"capacity": claim["spec"]["resources"]["requests"], "accessModes": claim["spec"]["accessModes"],
                     "hostPath": {"path": folder}, "claimRef": {"namespace": meta["namespace"], "name": meta["name"]}}}])

    def log(self, _):
        return ""

    def delete(self):
        self.watch.stop()
        for name in kubectl("get", "namespaces", "-o", "name").split():
            if name.startswith("namespace/mms"):
                kubectl("delete", name, "--wait=false", check=False)
        for name in self.made:
            kubectl("delete", "persistentvolume", name, "--wait=false", check=False)
            shutil.rmtree(f"{self.folders}/{name}", ignore_errors=True)


def steps():
    """The blocks of commands, and a look at what the exchange of secrets has brought about."""
    with open(DOCUMENT) as file:
        blocks = re.findall(r"^```sh\n(.*?)^```$", file.read(), re.MULTILINE | re.DOTALL)
    upgrade = next(i for i, block in enumerate(blocks) if block.startswith("helm -n mms upgrade"))
    return [block for block in blocks[:upgrade] if not block.startswith(ELSEWHERE)] + [EXCHANGED] + blocks[upgrade:]


@scenario
def document(trial):
    trial.workload = Volumes()
    folder, here = f"{STATE}/document", os.getcwd()
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder + "/bin")
    for program in ("script/helm", "build/release/client/mmsmo"):
        os.symlink(f"{here}/{program}", f"{folder}/bin/{os.path.basename(program)}")
    os.symlink(here + "/deploy", folder + "/deploy")
    environment = {**os.environ, "PATH": f"{folder}/bin:" + os.environ["PATH"]}
    followed = steps()
    for step in followed:
        done = subprocess.run(["bash", "-c", f"{PRELUDE}set -x\n{step}"], cwd=folder, stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT, timeout=300, env=environment)
        check(done.returncode == 0, f"{step}ended with {done.returncode}:\n{done.stdout}")
    shutil.rmtree(folder)
    trial.note(f"{len(followed)} blocks of commands")
