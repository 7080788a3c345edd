"""A Debian of its own in a directory, in which packages are installed and services run."""
import os
import shutil
import subprocess
import tempfile
import time

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "mmsmo-gateway")
WEEK = 7 * 24 * 3600  # as old as a cached Debian may be, lest the archive has other versions than it knows
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}


def mirror():
    """Where this machine has its own packages from."""
    listed = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages",
                             "Codename: bookworm"], capture_output=True, text=True, check=True).stdout.split()
    return listed[0] if listed else "http://deb.debian.org/debian"


def base():
    """An archive of a small Debian with systemd, made once a week."""
    path = os.path.join(CACHE, "bookworm-systemd.tar")
    if os.path.exists(path) and time.time() - os.path.getmtime(path) < WEEK:
        return path
    os.makedirs(CACHE, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mmsmo-debootstrap-") as directory:
        subprocess.run(["debootstrap", "--variant=minbase", "--include=systemd,systemd-sysv", "bookworm", directory,
                        mirror()], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["tar", "-C", directory, "-cf", path + ".new", "."], check=True)
    os.rename(path + ".new", path)
    return path


class Machine:
    """Runs commands in its directory: by chroot until it is booted, among its processes from then on."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="mmsmo-machine-")
        subprocess.run(["tar", "-C", self.root, "-xf", base()], check=True)
        os.chmod(self.root, 0o755)  # of /, for users other than root
        shutil.copy("/etc/resolv.conf", self.path("etc/resolv.conf"))
        self.init = self.first = None

    def path(self, inside):
        return os.path.join(self.root, inside.lstrip("/"))

    def run(self, *command, check=True):
        enter = ["chroot", self.root] if self.first is None else ["nsenter", "--target", str(self.first), "--all"]
        done = subprocess.run([*enter, *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=300, env=ENVIRONMENT)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")
        return done

    def boot(self):
        self.init = subprocess.Popen([os.path.join(os.path.dirname(__file__), "boot"), self.root],
                                     stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while self.first is None or self.run("systemctl", "is-system-running", check=False).returncode != 0:
            if self.init.poll() is not None or time.monotonic() > deadline:
                failed = self.run("systemctl", "--failed", check=False).stdout
                raise AssertionError("the machine does not boot:\n" + failed)
            time.sleep(0.1)
            self.first = self.first or self.systemd()

    def systemd(self):
        """The first of its processes, once that is systemd."""
        with open(f"/proc/{self.init.pid}/task/{self.init.pid}/children") as file:
            for child in file.read().split():
                with open(f"/proc/{child}/comm") as comm:
                    if comm.read().strip() == "systemd":
                        return int(child)
        return None

    def remove(self):
        if self.init is not None:
            self.init.kill()
            self.init.wait()
            self.remove_cgroup()
        shutil.rmtree(self.root)

    def remove_cgroup(self):
        mounted = subprocess.run(["findmnt", "--noheadings", "--first-only", "--output", "TARGET", "--types",
                                  "cgroup2"], capture_output=True, text=True, check=True).stdout.strip()
        deadline = time.monotonic() + 30
        for directory, _, _ in os.walk(os.path.join(mounted, os.path.basename(self.root)), topdown=False):
            while True:
                try:
                    os.rmdir(directory)
                    break
                except OSError:  # the last of its processes is still at its end
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)
