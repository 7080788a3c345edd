"""A gateway for one test."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import uuid
from typing import Any, Optional, Sequence
from xml.sax.saxutils import escape

from ..start import from_earliest
from ..subscriber import Subscriber
from ..v1 import subscription_pb2, subscription_service_pb2


class Gateway:
    """`mmsmo-gateway --ephemeral`, on free ports of this machine; it ends with `close`, or a `with`, or this program.
    Its path is `path`, else $MMSMO_GATEWAY, else on the PATH. `http`, `grpc` and `admin` are HOST:PORT."""

    def __init__(self, path: Optional[str] = None, flags: Sequence[str] = ()) -> None:
        """RuntimeError where it does not begin; FileNotFoundError where it is not there."""
        program = path or os.environ.get("MMSMO_GATEWAY") or "mmsmo-gateway"
        # It ends when its standard input does, whatever becomes of this program.
        self._process = subprocess.Popen(
            [program, "--ephemeral", *flags], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            self.close()
            raise RuntimeError(f"{program} --ephemeral ended with {self._process.returncode}")
        addresses = json.loads(line)
        self.http: str = addresses["http"]
        self.grpc: str = addresses["grpc"]
        self.admin: str = addresses["admin"]

    @property
    def url(self) -> str:
        """Where a provider posts to."""
        return f"http://{self.http}/postbacks/mms-mo"

    def post(
        self, tracking_id: str = "", *, sender: str = "14082257140", recipient: str = "28444", text: str = ""
    ) -> str:
        """Posts a sample, and returns its tracking id, by default a new one. RuntimeError where it is not accepted."""
        tracking_id = tracking_id or uuid.uuid4().hex
        fields = {
            "origin": "MMS_MO",
            "code": "N401",
            "from": sender,
            "to": recipient,
            "tracking-id": tracking_id,
            "timestamp": "2026-04-24T18:34:00Z",
            "subject": text,
        }
        elements = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items() if value)
        file = "<content><file>https://files.example.com/MMS_MO/photo.jpg</file></content>"
        self.post_body(f"<postback>{elements}{file}</postback>".encode())
        return tracking_id

    def post_body(self, body: bytes, content_type: str = "application/xml") -> Any:
        """Posts what you have, and returns the gateway's answer. RuntimeError where it is not a 200."""
        connection = http.client.HTTPConnection(self.http, timeout=30)
        try:
            connection.request("POST", "/postbacks/mms-mo", body, {"Content-Type": content_type})
            response = connection.getresponse()
            answer = response.read()
            if response.status != 200:
                raise RuntimeError(f"{response.status}: {answer.decode(errors='replace')}")
            return json.loads(answer)
        finally:
            connection.close()

    def subscribe(self, name: str, **settings: Any) -> None:
        """Makes a named subscription from the earliest event on, with the settings of mmsmo.v1.Subscription."""
        subscription = subscription_pb2.Subscription(name=name, start_position=from_earliest(), **settings)
        with Subscriber(self.grpc).services() as services:
            services.subscriptions.CreateSubscription(
                subscription_service_pb2.CreateSubscriptionRequest(subscription=subscription)
            )

    def close(self) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> Gateway:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
