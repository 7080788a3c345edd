"""What a connection to a gateway is made with, whoever drives it."""

from __future__ import annotations

import ipaddress
from typing import Any, List, Tuple

from . import defaults
from .errors import InvalidArgument
from .options import Options

# The channel's own waiting between connections, kept below the subscriber's.
_MAX_RECONNECT_MS = 1000


def is_local(target: str) -> bool:
    """Whether what is sent there stays on this machine."""
    if target.startswith(("unix:", "unix-abstract:")):
        return True
    for scheme in ("dns:", "ipv4:", "ipv6:"):
        if target.startswith(scheme):
            target = target[len(scheme) :]
            if target.startswith("//"):
                target = target[2:].partition("/")[2]
            target = target[1:] if target.startswith("/") else target
            break
    return _is_loopback(_host_of(target))


def _host_of(authority: str) -> str:
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority if authority.count(":") > 1 else authority.partition(":")[0]


def _is_loopback(host: str) -> bool:
    host = host.lower().rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761, 6.3
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def check_token(options: Options) -> None:
    """InvalidArgument for a token that others could read on its way."""
    if options.token is None or options.tls or options.send_token_unencrypted or is_local(options.target):
        return
    raise InvalidArgument(
        f"the token would go to '{options.target}' without encryption, where others can read it; use TLS, or say that "
        "it is to be sent unencrypted"
    )


def channel_arguments(options: Options) -> List[Tuple[str, Any]]:
    arguments: List[Tuple[str, Any]] = [
        ("grpc.max_receive_message_length", -1),  # bodies and events are as large as the gateway lets in
        ("grpc.keepalive_time_ms", defaults.KEEPALIVE_TIME_MS),
        ("grpc.use_local_subchannel_pool", 1),  # a new channel is a new connection
        ("grpc.initial_reconnect_backoff_ms", max(1, round(options.min_backoff * 1000))),
        ("grpc.min_reconnect_backoff_ms", _MAX_RECONNECT_MS),
        ("grpc.max_reconnect_backoff_ms", _MAX_RECONNECT_MS),
    ]
    if is_local(options.target):
        arguments.append(("grpc.enable_http_proxy", 0))
    if options.server_name:
        arguments.append(("grpc.ssl_target_name_override", options.server_name))
    return arguments


def complete(request: Any, options: Options) -> Any:
    """What belongs to every stream's request."""
    request.max_batch_size = options.max_batch_size
    request.client_id = options.client_id
    if options.heartbeat_interval > 0:
        request.heartbeat_interval.FromNanoseconds(round(options.heartbeat_interval * 1e9))
    return request
