"""The Debian package on a Debian of its own with systemd: installed, used, upgraded, removed and purged.

MMSMO_PACKAGE is the package. Needs root.
"""
import os
import re
import shutil
import subprocess
import time
import unittest

from tests.package.machine import Machine

PACKAGE = os.environ["MMSMO_PACKAGE"]
CONFIGURATION = "/etc/mmsmo/gateway.toml"
SOCKET = "unix:/run/mmsmo/gateway.sock"


def make_next_version(directory):
    """next.deb: the package as version 9, with another comment in its configuration."""
    unpacked = os.path.join(directory, "next")
    subprocess.run(["dpkg-deb", "-R", PACKAGE, unpacked], check=True)
    control = os.path.join(unpacked, "DEBIAN/control")
    with open(control) as file:
        text = file.read()
    with open(control, "w") as file:
        file.write(re.sub("^Version: .*", "Version: 9", text, flags=re.MULTILINE))
    with open(unpacked + CONFIGURATION, "a") as file:
        file.write("# of version 9\n")
    subprocess.run(["dpkg-deb", "-b", unpacked, unpacked + ".deb"], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(unpacked)


class PackageTest(unittest.TestCase):
    def setUp(self):
        self.machine = Machine()
        self.addCleanup(self.machine.remove)
        shutil.copy(PACKAGE, self.machine.path("/root/this.deb"))
        make_next_version(self.machine.path("/root"))

    def output(self, *command):
        return self.machine.run(*command).stdout

    def fails(self, *command):
        return self.machine.run(*command, check=False).returncode != 0

    def until(self, what, why=""):
        deadline = time.monotonic() + 30
        while not what():
            self.assertLess(time.monotonic(), deadline, f"{why}\n{self.journal()}")
            time.sleep(0.05)

    def journal(self):
        return self.output("journalctl", "--unit", "mmsmo-gateway", "--no-pager", "--output", "cat")

    def property(self, name):
        return self.output("systemctl", "show", "--value", "--property", name, "mmsmo-gateway").strip()

    def post(self, tracking_id, path="/postbacks/mms-mo"):
        """Until the gateway takes it."""
        self.until(lambda: not self.fails("mmsmo", "send", "--tracking-id", tracking_id, "--url",
                                          "http://127.0.0.1:8080" + path), "nobody takes a postback")

    def configure(self, change):
        path = self.machine.path(CONFIGURATION)
        with open(path) as file:
            text = file.read()
        with open(path, "w") as file:
            file.write(change(text))

    def test_its_life(self):
        self.output("apt-get", "update", "-qq")
        self.output("apt-get", "install", "-y", "-qq", "--no-install-recommends", "/root/this.deb")
        self.output("mmsmo", "--version")
        self.output("mmsmo-gateway", "--config", CONFIGURATION, "--print-config")
        self.machine.boot()  # which starts the service
        self.post("FIRST")
        self.check_confinement()
        self.check_restarts()
        self.check_reload()
        self.check_upgrade()
        self.check_end()

    def check_confinement(self):
        self.assertEqual(self.output("systemctl", "--failed", "--quiet"), "")
        self.assertEqual(self.output("systemd-analyze", "verify", "--man=no", "mmsmo-gateway.service"), "")
        status = self.output("cat", f"/proc/{self.property('MainPID')}/status")
        for line in (r"CapBnd:\t0+$", r"NoNewPrivs:\t1$", r"Seccomp:\t2$"):
            self.assertRegex(status, re.compile(line, re.MULTILINE))
        self.assertEqual(self.output("stat", "-c", "%U:%G %a", "/var/lib/mmsmo", "/run/mmsmo").split("\n")[:2],
                         ["mmsmo:mmsmo 700", "mmsmo:mmsmo 750"])
        self.assertNotRegex(self.journal(), '"level":"(warning|error)"')

    def check_restarts(self):
        self.output("systemctl", "kill", "--signal=KILL", "mmsmo-gateway")
        self.post("SECOND")
        self.assertEqual(self.property("NRestarts"), "1")
        self.configure(lambda text: 'log-level = "wrong"\n' + text)
        self.machine.run("systemctl", "restart", "mmsmo-gateway", check=False)
        self.until(lambda: self.property("ActiveState") == "failed", "a wrong configuration is tried again")
        self.assertEqual(self.property("ExecMainStatus"), "2")

    def check_reload(self):
        """The administrator's own configuration, whose second endpoint comes with a reload."""
        endpoint = '[[endpoint]]\nname = "{0}"\npath = "/{0}"\n'
        self.configure(lambda text: text.replace('log-level = "wrong"\n', "").replace("127.0.0.1:9090", SOCKET)
                       + endpoint.format("one"))
        self.output("systemctl", "restart", "mmsmo-gateway")
        self.post("THIRD", "/one")
        self.configure(lambda text: text + endpoint.format("two"))
        self.output("systemctl", "reload", "mmsmo-gateway")
        self.post("FOURTH", "/two")
        self.assertEqual(self.output("stat", "-c", "%U:%G %a", "/run/mmsmo/gateway.sock").strip(), "mmsmo:mmsmo 660")

    def check_upgrade(self):
        before = self.property("MainPID")
        self.output("dpkg", "--force-confold", "--install", "/root/next.deb")
        self.until(lambda: self.property("MainPID") not in ("0", before), "it was not started again")
        self.post("FIFTH", "/two")  # by the edited configuration
        self.output("grep", "version 9", CONFIGURATION + ".dpkg-dist")
        events = self.output("mmsmo", "--grpc", SOCKET, "tail", "--from", "earliest", "--until-caught-up", "--json")
        self.assertEqual(re.findall("FIRST|SECOND|THIRD|FOURTH|FIFTH", events),
                         ["FIRST", "SECOND", "THIRD", "FOURTH", "FIFTH"])

    def check_end(self):
        self.output("dpkg", "--remove", "mmsmo-gateway")
        self.assertIn(self.property("ActiveState"), ("inactive", "failed"))
        self.output("test", "-d", "/var/lib/mmsmo", "-a", "-e", CONFIGURATION)
        self.output("dpkg", "--purge", "mmsmo-gateway")
        self.assertEqual(self.output("find", "/", "-xdev", "-name", "*mmsmo*"), "")
        self.assertTrue(self.fails("grep", "mmsmo", "/etc/passwd", "/etc/group"))


if __name__ == "__main__":
    unittest.main()
