"""How a subscriber connects, and what it asks for. Times are in seconds."""

from __future__ import annotations

import dataclasses
import ssl
from typing import Any, Callable, Optional, Union

import grpc

from . import defaults
from .observer import Observer
from .token import Token, TokenFile


@dataclasses.dataclass(frozen=True)
class Tls:
    """Paths of PEM files, which are read at each connection; each may be empty."""

    ca: str = ""  # whom the gateway's certificate must be signed by; else: whom the system trusts
    cert: str = ""  # this client's certificate, and after it those that signed it
    key: str = ""  # its private key; with `cert`, or not at all

    def __post_init__(self) -> None:
        if bool(self.cert) != bool(self.key):
            raise ValueError("a certificate needs its key, and a key its certificate")

    def credentials(self) -> grpc.ChannelCredentials:
        """OSError, naming the file, where one cannot be read."""
        ca = self.ca or ssl.get_default_verify_paths().cafile
        return grpc.ssl_channel_credentials(_read(ca), _read(self.key), _read(self.cert))


def _read(path: Optional[str]) -> Optional[bytes]:
    if not path:
        return None
    with open(path, "rb") as file:
        return file.read()


@dataclasses.dataclass(frozen=True)
class Options:
    """All have defaults but `target`."""

    target: str  # HOST:PORT or unix:PATH
    tls: Optional[Tls] = None  # None: without encryption
    server_name: str = ""  # that the gateway's certificate must have; empty: the target's host
    # Shown with every call: a text, a TokenFile, or what returns one when it is called, on any thread. Without
    # encryption it goes to this machine only, unless `send_token_unencrypted`.
    token: Union[str, TokenFile, Callable[[], str], None] = None
    send_token_unencrypted: bool = False
    client_id: str = ""  # names this program in the gateway's logs and metrics; at most 256 bytes

    # Events a frame, and the gateway's sign of life; 0 is the gateway's default.
    max_batch_size: int = defaults.MAX_BATCH_SIZE
    heartbeat_interval: float = defaults.HEARTBEAT_INTERVAL_MS / 1000
    # Between two attempts: full jitter below a ceiling that doubles from the one to the other.
    min_backoff: float = defaults.MIN_BACKOFF_MS / 1000
    max_backoff: float = defaults.MAX_BACKOFF_MS / 1000
    # How long an attempt may take until its first frame.
    connect_timeout: float = defaults.CONNECT_TIMEOUT_MS / 1000
    # Where a program hears what happens: metrics and spans.
    observer: Observer = dataclasses.field(default_factory=Observer)
    filter: Any = None  # mmsmo.v1.Filter, of follow: a named subscription has its own

    # The rest is for named subscriptions.
    # How many handlers run at once, at least 1. With 1, in the order of arrival.
    concurrency: int = defaults.CONCURRENCY
    # What the gateway may have under way to this program, in deliveries and in bytes of events: what waits here
    # included. 0 is the gateway's default.
    max_outstanding_messages: int = defaults.MAX_OUTSTANDING_MESSAGES
    max_outstanding_bytes: int = defaults.MAX_OUTSTANDING_BYTES
    # A handler that has run for longer is told so, and its delivery becomes a Retry, whatever it returns. 0: it may
    # take as long as it likes.
    max_handler_time: float = defaults.MAX_HANDLER_TIME_MS / 1000
    # How long a run waits, once the last handler has returned, until what they said is answered; and what stop takes
    # for its timeout.
    stop_timeout: float = defaults.STOP_TIMEOUT_MS / 1000

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise ValueError("concurrency is at least 1")
        for name in ("min_backoff", "max_backoff", "connect_timeout", "heartbeat_interval", "max_handler_time"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is not negative")

    def token_source(self) -> Optional[Token]:
        return Token(self.token) if self.token is not None else None
