"""Postbacks from outside the pod, as a provider with an ingress in front sends them: to the addresses of the Service's
EndpointSlice, each again until it is answered 200."""
import base64
import http.client
import ssl
import threading
import time
from collections import Counter

from tests.kubernetes.cluster import Watch

PATH = "/postbacks/mms-mo"
WORKERS = 4
PAUSE = 0.05  # before one is sent again


def body_of(tracking_id):
    return (f"<postback><origin>MMS_MO</origin><code>N401</code><from>14082257140</from><to>28444</to>"
            f"<tracking-id>{tracking_id}</tracking-id><timestamp>2026-04-24T18:34:00Z</timestamp>"
            f"<content><file>https://files.example.com/1.jpg</file></content></postback>").encode()


class Addresses:
    """Where a Service's pods take postbacks, as an ingress controller knows it."""

    def __init__(self, namespace, service):
        self.slices = {}
        self.watch = Watch(f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
                           f"?labelSelector=kubernetes.io/service-name%3D{service}", self.seen)

    def seen(self, kind, endpoint_slice):
        addresses = [] if kind == "DELETED" else [
            (address, endpoint_slice["ports"][0]["port"]) for endpoint in endpoint_slice["endpoints"] or []
            if endpoint["conditions"].get("ready") for address in endpoint["addresses"]]
        self.slices[endpoint_slice["metadata"]["name"]] = addresses

    def all(self):
        return [address for addresses in self.slices.values() for address in addresses]


class Load:
    """Sends so many postbacks a second until it is stopped."""

    def __init__(self, namespace, service="mms-consumer", rate=50, tls=False, passwords=("change-me",)):
        self.namespace, self.rate, self.tls = namespace, rate, tls
        self.passwords = list(passwords)  # the provider tries the next one when it is answered 401
        self.addresses = Addresses(namespace, service)
        self.lock = threading.Lock()
        self.begun, self.answered, self.answer_times = 0, {}, []
        self.refused = Counter()
        self.stopping, self.give_up = False, float("inf")
        self.start_time = time.monotonic()
        self.workers = [threading.Thread(target=self.work, args=(i,), daemon=True) for i in range(WORKERS)]
        for worker in self.workers:
            worker.start()

    def work(self, number):
        connection = None
        while not self.stopping:
            with self.lock:
                self.begun += 1
                index = self.begun
            time.sleep(max(0, self.start_time + index / self.rate - time.monotonic()))
            connection = self.post_until_answered(connection, f"{self.namespace}-{index}")

    def post_until_answered(self, connection, tracking_id):
        while time.monotonic() < self.give_up:
            password = self.passwords[0]
            connection, outcome = self.post(connection, body_of(tracking_id), password)
            with self.lock:
                if outcome == 200:
                    self.answered[tracking_id] = time.monotonic()
                    self.answer_times.append(time.monotonic())
                    return connection
                self.refused[outcome] += 1
                if outcome == 401 and password == self.passwords[0]:
                    self.passwords.append(self.passwords.pop(0))
            time.sleep(PAUSE)
        return connection

    def post(self, connection, body, password):
        """Returns the connection, where it can be used again, and the status or the error's name."""
        try:
            if connection is None:
                connection = self.connect()
            if connection is None:
                return None, "no address"
            secret = base64.b64encode(f"sinch:{password}".encode()).decode()
            connection.request("POST", PATH, body, {"Content-Type": "application/xml",
                                                    "Authorization": "Basic " + secret})
            response = connection.getresponse()
            response.read()
            if response.status == 200:
                return connection, 200
            connection.close()
            return None, response.status
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return None, type(error).__name__

    def connect(self):
        addresses = self.addresses.all()
        if not addresses:
            return None
        host, port = addresses[0]
        if self.tls:
            return http.client.HTTPSConnection(host, port, timeout=2, context=ssl._create_unverified_context())
        return http.client.HTTPConnection(host, port, timeout=2)

    def count(self):
        with self.lock:
            return len(self.answered)

    def stop(self, seconds=60):
        """Ends once all that was begun is answered, or nobody answers any more."""
        self.stopping = True
        self.give_up = time.monotonic() + seconds
        for worker in self.workers:
            worker.join()
        self.stop_time = time.monotonic()
        self.addresses.watch.stop()

    def longest_gap(self):
        times = [self.start_time, *sorted(self.answer_times)]
        return max((later - earlier for earlier, later in zip(times, times[1:])), default=0.0)
