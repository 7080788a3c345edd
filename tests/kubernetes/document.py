"""docs/kubernetes.md, followed from its beginning to its end."""
import os
import re
import shutil
import subprocess

from tests.kubernetes.cluster import STATE, kubectl
from tests.kubernetes.trial import check, scenario

DOCUMENT = "docs/kubernetes.md"
ELSEWHERE = ("script/", "mkdir -p build/mms")  # what script/kubernetes has done already, and where this is
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


class Namespaces:
    """Those that the document makes."""
    namespace = "mms"  # which is looked at when something fails

    def log(self, container):
        return kubectl("logs", "--namespace", self.namespace, "mmsmo-gateway-0", "-c", container, check=False)

    def delete(self):
        for name in kubectl("get", "namespaces", "-o", "name").split():
            if name.startswith("namespace/mms"):
                kubectl("delete", name, "--wait=false", check=False)


def steps():
    """The blocks of commands, and a look at what the exchange of secrets has brought about."""
    with open(DOCUMENT) as file:
        blocks = re.findall(r"^```sh\n(.*?)^```$", file.read(), re.MULTILINE | re.DOTALL)
    upgrade = next(i for i, block in enumerate(blocks) if block.startswith("helm -n mms upgrade"))
    return [block for block in blocks[:upgrade] if not block.startswith(ELSEWHERE)] + [EXCHANGED] + blocks[upgrade:]


@scenario
def document(trial):
    trial.workload = Namespaces()
    folder, here = f"{STATE}/document", os.getcwd()
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    os.symlink(here + "/deploy", folder + "/deploy")
    followed = steps()
    for step in followed:
        done = subprocess.run(["bash", "-c", f"set -euxo pipefail\n{step}"], cwd=folder, stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT, timeout=300)
        check(done.returncode == 0, f"{step}ended with {done.returncode}:\n{done.stdout}")
    shutil.rmtree(folder)
    trial.note(f"{len(followed)} blocks of commands")
