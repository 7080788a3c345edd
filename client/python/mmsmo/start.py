"""Where to begin to follow."""

from __future__ import annotations

import datetime

from .v1 import event_pb2

StartPosition = event_pb2.StartPosition


def from_earliest() -> event_pb2.StartPosition:
    """At the oldest event that is retained."""
    return StartPosition(boundary=event_pb2.BOUNDARY_EARLIEST)


def from_latest() -> event_pb2.StartPosition:
    """With what comes from now on."""
    return StartPosition(boundary=event_pb2.BOUNDARY_LATEST)


def after_cursor(cursor: str) -> event_pb2.StartPosition:
    """After the event, or the position, that `cursor` names."""
    return StartPosition(after_cursor=cursor)


def from_time(when: datetime.datetime) -> event_pb2.StartPosition:
    """With the first event that was accepted at `when` or after it. ValueError where it has no time zone."""
    if when.tzinfo is None:
        raise ValueError("a time needs its time zone")
    position = StartPosition()
    position.accept_time.FromDatetime(when.astimezone(datetime.timezone.utc).replace(tzinfo=None))
    return position
