"""The chart's Ingress: Debian's nginx is configured from it, and from the Service's EndpointSlices, as a controller does
it. Postbacks travel through it while the gateway is rolled out."""
import base64
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

from tests.kubernetes.chart import Alone, upgrade_under_load
from tests.kubernetes.cluster import STATE, apply, kubectl, until
from tests.kubernetes.credentials import key_pair, secret
from tests.kubernetes.load import PATH, Addresses, Load
from tests.kubernetes.trial import check, scenario

HOST, PORT = "mms.example.com", 8443
CONFIGURATION = """
user root; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{ listen 127.0.0.1:{port} ssl default_server; ssl_reject_handshake on; }}
  server {{
    listen 127.0.0.1:{port} ssl; server_name {host};
    ssl_certificate {folder}/tls.crt; ssl_certificate_key {folder}/tls.key;
    proxy_http_version 1.1; proxy_connect_timeout 2s;
    proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr;
    {locations}
    location / {{ return 404; }}
  }}
}}
"""


def read(kind, name, namespace):
    return json.loads(kubectl("get", kind, name, "--namespace", namespace, "-o", "json"))


class Controller(threading.Thread):
    """Follows one Ingress of one host, until it is stopped."""

    def __init__(self, namespace, name):
        super().__init__(daemon=True)
        self.folder = f"{STATE}/nginx"
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        self.spec = read("ingress", name, namespace)["spec"]
        for file, text in read("secret", self.spec["tls"][0]["secretName"], namespace)["data"].items():
            with open(f"{self.folder}/{file}", "wb") as output:
                output.write(base64.b64decode(text))
        paths = self.spec["rules"][0]["http"]["paths"]
        self.addresses = {path["path"]: Addresses(namespace, path["backend"]["service"]["name"]) for path in paths}
        self.nginx, self.stopping, self.reloads = None, False, 0
        self.start()

    def locations(self):
        """An exact path goes to the first of its Service's addresses; without one it is 503."""
        lines = []
        for path, addresses in self.addresses.items():
            found = addresses.all()
            action = "proxy_pass http://{}:{}".format(*found[0]) if found else "return 503"
            lines.append(f"location = {path} {{ {action}; }}")
        return "\n    ".join(lines)

    def run(self):
        before = None
        while not self.stopping:
            locations = self.locations()
            if locations != before:
                before = locations
                self.configure(locations)
            time.sleep(0.1)

    def configure(self, locations):
        with open(f"{self.folder}/nginx.conf", "w") as file:
            file.write(CONFIGURATION.format(folder=self.folder, port=PORT, host=self.spec["rules"][0]["host"],
                                            locations=locations))
        if self.nginx is None:
            self.nginx = subprocess.Popen(["nginx", "-c", f"{self.folder}/nginx.conf", "-e", f"{self.folder}/error.log"])
        else:
            self.nginx.send_signal(signal.SIGHUP)
            self.reloads += 1

    def stop(self):
        self.stopping = True
        self.join()
        for addresses in self.addresses.values():
            addresses.watch.stop()
        if self.nginx:
            self.nginx.terminate()
            self.nginx.wait()


class Connection(http.client.HTTPSConnection):
    """To the Ingress, which has to have a certificate of its host."""

    def __init__(self, folder):
        super().__init__(HOST, timeout=10)
        self.authority = ssl.create_default_context(cafile=f"{folder}/tls.crt")

    def connect(self):
        plain = socket.create_connection(("127.0.0.1", PORT), self.timeout)
        self.sock = self.authority.wrap_socket(plain, server_hostname=HOST)


class ThroughIngress(Load):
    def __init__(self, trial, controller):
        self.folder = controller.folder
        super().__init__(trial.name, trial.workload.name)

    def connect(self):
        return Connection(self.folder)


def status_of(folder, method, path, **headers):
    connection = Connection(folder)
    connection.request(method, path, headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status


def roll_out_behind(trial, controller):
    upgrade_under_load(trial, then=5)
    check(controller.reloads > 0, "nginx was never told of another address")
    check(status_of(controller.folder, "POST", PATH) == 401, "a postback without a password is not 401")
    check(status_of(controller.folder, "GET", "/readyz") == 404, "another path is not 404")
    trial.note(f"rolled out behind nginx, which was configured anew {controller.reloads} times")


@scenario
def ingress(trial):
    trial.workload = workload = Alone(trial.name)
    # The gateway believes nginx, on the node, for whom it asks: a client of the loopback network.
    workload.values["extraArgs"] = ["--trusted-proxies=10.244.0.1", "--trusted-proxies-header=x-forwarded-for"]
    workload.values["config"] = workload.values["config"].replace(
        f'path = "{PATH}"\n', f'path = "{PATH}"\nallow-from = ["127.0.0.1/32"]\n')
    workload.create()
    apply(trial.name, [secret(workload.values["ingress"]["tlsSecret"], key_pair(HOST), "kubernetes.io/tls")])
    workload.wait_until_ready()
    controller = Controller(trial.name, workload.name)
    try:
        until("nginx listens", lambda: os.path.exists(controller.folder + "/pid"))
        trial.load = ThroughIngress(trial, controller)
        roll_out_behind(trial, controller)
        trial.load.stop()
    finally:
        controller.stop()
