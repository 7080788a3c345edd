"""Why a call failed, and which failures it makes no sense to try again."""

from __future__ import annotations

from typing import Any, Dict, Iterable, Iterator, Optional, Tuple, Type, Union

import grpc

MAX_RETRY_DELAY = 60.0  # seconds, whatever a gateway asks for


class Error(Exception):
    """A call failed. `code` is the name of gRPC's status, such as "UNAVAILABLE"."""

    code = "UNKNOWN"

    def __init__(self, message: str = "", code: str = "", retry_delay: float = 0.0) -> None:
        super().__init__(message)
        self.code = code or self.code
        self.retry_delay = retry_delay  # seconds that the gateway asks to wait, at most a minute


class FinalError(Error):
    """It makes no sense to try again: this ends a run."""


class InvalidArgument(FinalError):
    code = "INVALID_ARGUMENT"


class NotFound(FinalError):
    code = "NOT_FOUND"


class PermissionDenied(FinalError):
    code = "PERMISSION_DENIED"


class Unauthenticated(FinalError):
    """Final only where the source of the token still gives the token that was refused."""

    code = "UNAUTHENTICATED"


class Unimplemented(FinalError):
    code = "UNIMPLEMENTED"


class FailedPrecondition(FinalError):
    code = "FAILED_PRECONDITION"


class OutOfRange(FinalError):
    code = "OUT_OF_RANGE"


class CursorExpired(OutOfRange):
    """The position is no longer retained; `earliest_cursor` is the one before the oldest event that is."""

    def __init__(self, message: str = "", earliest_cursor: str = "") -> None:
        super().__init__(message)
        self.earliest_cursor = earliest_cursor


_FINAL: Dict[str, Type[FinalError]] = {
    one.code: one
    for one in (
        InvalidArgument,
        NotFound,
        PermissionDenied,
        Unauthenticated,
        Unimplemented,
        FailedPrecondition,
        OutOfRange,
    )
}


def error_of(code: str, message: str, trailers: Optional[Iterable[Any]] = None) -> Error:
    """The error of a call that failed so."""
    packed = b""
    for key, value in trailers or ():
        if key == "grpc-status-details-bin":
            packed = value
    reason, metadata, delay = _details(packed)
    if code == "OUT_OF_RANGE" and reason == "CURSOR_EXPIRED":
        return CursorExpired(message, metadata.get("earliest_cursor", ""))
    final = _FINAL.get(code)
    return final(message) if final else Error(message, code, delay)


def error_of_call(call: Any) -> Error:
    """Of a grpc.RpcError, or of a call that is over."""
    code: Optional[grpc.StatusCode] = call.code()
    return error_of(code.name if code else "UNKNOWN", call.details() or "", call.trailing_metadata())


# google.rpc.Status and its details are read by hand: registering google/rpc/error_details.proto would clash with
# whatever package of the user's program brings it, in another version.


def _details(packed: bytes) -> Tuple[str, Dict[str, str], float]:
    """The reason and metadata of ErrorInfo, and the delay of RetryInfo."""
    reason, metadata, delay = "", {}, 0.0
    try:
        for number, detail in _fields(packed):
            if number != 3 or not isinstance(detail, bytes):
                continue
            any_message = dict(_fields(detail))
            kind, value = _text(any_message.get(1)).rpartition("/")[2], any_message.get(2, b"")
            if not isinstance(value, bytes):
                continue
            if kind == "google.rpc.ErrorInfo":
                for inner, content in _fields(value):
                    if inner == 1:
                        reason = _text(content)
                    elif inner == 3 and isinstance(content, bytes):
                        entry = dict(_fields(content))
                        metadata[_text(entry.get(1))] = _text(entry.get(2))
            elif kind == "google.rpc.RetryInfo":
                duration = dict(_fields(value)).get(1, b"")
                parts = dict(_fields(duration)) if isinstance(duration, bytes) else {}
                delay = float(_number(parts.get(1))) + _number(parts.get(2)) / 1e9
    except (IndexError, ValueError):
        pass  # a status without what cannot be read of it
    return reason, metadata, min(max(delay, 0.0), MAX_RETRY_DELAY)


def _text(value: Union[int, bytes, None]) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def _number(value: Union[int, bytes, None]) -> int:
    if not isinstance(value, int):
        return 0
    return value - (1 << 64) if value >= 1 << 63 else value


def _fields(data: bytes) -> Iterator[Tuple[int, Union[int, bytes]]]:
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, varint()
            continue
        if kind not in (1, 2, 5):
            raise ValueError("a group")
        size = varint() if kind == 2 else 8 if kind == 1 else 4
        if at + size > len(data):
            raise ValueError("cut short")
        yield key >> 3, data[at : at + size]
        at += size
