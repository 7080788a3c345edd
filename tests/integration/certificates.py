"""Certificates for a test, made by the openssl command: ECDSA P-256, in PEM files."""
import os
import subprocess
import tempfile
import time

SETTINGS = """
[ca]
default_ca = this
[this]
dir = {directory}
database = $dir/index
new_certs_dir = $dir
serial = $dir/serial
certificate = $dir/ca.pem
private_key = $dir/ca.key
default_md = sha256
policy = any
copy_extensions = copy
unique_subject = no
[any]
commonName = supplied
"""


def openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(f"openssl {arguments[0]}: {done.stderr}")


class Authority:
    """Signs certificates; its own is `path`."""

    def __init__(self, directory, name="authority", by=None):
        """With `by`, another authority has signed its certificate."""
        self.directory = tempfile.mkdtemp(prefix=name + "-", dir=directory)
        self.path = self.file("ca.pem")
        self.issued = 0
        signed_by = ["-CA", by.path, "-CAkey", by.file("ca.key")] if by else []
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                self.file("ca.key"), "-out", self.path, "-subj", f"/CN={name}", "-days", "2", *signed_by)
        for file, content in (("index", ""), ("serial", "1000\n"), ("settings", SETTINGS)):
            with open(self.file(file), "w") as out:
                out.write(content.format(directory=self.directory))

    def file(self, name):
        return os.path.join(self.directory, name)

    def issue(self, name="localhost", names="DNS:localhost,IP:127.0.0.1", begins=-3600, ends=86400):
        """The paths of a certificate and its key; it begins and ends so many seconds from now."""
        self.issued += 1
        request, key, cert = (self.file(f"{self.issued}.{kind}") for kind in ("csr", "key", "pem"))
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                "-out", request, "-subj", f"/CN={name}", "-addext", f"subjectAltName={names}")
        date = lambda seconds: time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + seconds))
        openssl("ca", "-batch", "-notext", "-config", self.file("settings"), "-in", request, "-out", cert,
                "-startdate", date(begins), "-enddate", date(ends))
        return cert, key


class Mount:
    """A directory of cert, key and ca as Kubernetes mounts them: all are exchanged at once, by a symbolic link."""

    def __init__(self, directory):
        self.directory = tempfile.mkdtemp(prefix="mount-", dir=directory)
        self.count = 0

    def path(self, name):
        return os.path.join(self.directory, "data", name)

    def put(self, cert, key, ca=None):
        """Makes these files' contents the ones that are there."""
        self.count += 1
        now = os.path.join(self.directory, f"at-{self.count}")
        os.mkdir(now)
        for name, source in (("cert", cert), ("key", key), ("ca", ca)):
            if source is not None:
                with open(source) as content, open(os.path.join(now, name), "w") as out:
                    out.write(content.read())
                os.chmod(os.path.join(now, name), 0o600)
        link = os.path.join(self.directory, "next")
        os.symlink(now, link)
        os.rename(link, os.path.join(self.directory, "data"))
        return self

    def flags(self, listener, ca=False):
        flags = [f"--{listener}-tls-cert", self.path("cert"), f"--{listener}-tls-key", self.path("key")]
        return flags + ([f"--{listener}-tls-client-ca", self.path("ca")] if ca else [])
