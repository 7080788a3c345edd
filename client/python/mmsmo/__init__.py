"""Consumers of mmsmo-gateway, with threads; mmsmo.aio has the same for asyncio."""

from ._deliveries import Delivery
from ._outbox import AckFailure
from ._services import Services
from ._session import StopMode
from .errors import (
    CursorExpired,
    Error,
    FailedPrecondition,
    FinalError,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    Unauthenticated,
    Unimplemented,
)
from .observer import Observer
from .options import Options, Tls
from .start import after_cursor, from_earliest, from_latest, from_time
from .subscriber import Subscriber, stop_on_signals
from .token import TokenFile
from .verdict import Ack, DeadLetter, Retry, RetryAfter, Verdict

__all__ = [
    "Ack",
    "AckFailure",
    "CursorExpired",
    "DeadLetter",
    "Delivery",
    "Error",
    "FailedPrecondition",
    "FinalError",
    "InvalidArgument",
    "NotFound",
    "Observer",
    "Options",
    "OutOfRange",
    "PermissionDenied",
    "Retry",
    "RetryAfter",
    "Services",
    "StopMode",
    "Subscriber",
    "Tls",
    "TokenFile",
    "Unauthenticated",
    "Unimplemented",
    "Verdict",
    "after_cursor",
    "from_earliest",
    "from_latest",
    "from_time",
    "stop_on_signals",
]
