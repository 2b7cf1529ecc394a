# SPDX-License-Identifier: Apache-2.0
"""Which ways lead to an agency: what goes with what, judged before an agency is added."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from lictl.delivery.config import Transport
from lictl.delivery.filing import Filing
from lictl.errors import UsageError
from lictl.handover.dialects import DIALECTS
from lictl.service.credentials import check_credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

KINDS: Final = {
    "lictl": "lictl's own acknowledged protocol",
    "tcp": "the format's own bytes on a connection",
    "udp": "one PDU a datagram",
    "files": "files that the agency fetches",
}
_DATAGRAMS: Final = frozenset({"atis-1000013", "tzsp", "ccc"})
_DATAGRAMS_ALONE: Final = frozenset({"tzsp", "ccc"})
_SECURE: Final = ("lictl", "tcp")
_EVENTFUL: Final = frozenset({"etsi-102232", "atis-1000013", "etsi-103221-2"})
_LEAST_BACKLOG: Final = 1 << 20
_MOST_S: Final = 86_400.0
_MOST_BYTES_PER_S: Final = 1 << 40


def kinds_for(format_: str) -> tuple[str, ...]:
    """Transports that a format goes over."""
    return tuple(kind for kind in KINDS if _kind_problem(kind, format_) is None)


def is_reached(kind: str) -> bool:
    """Whether the agency is connected or sent to: then it has a host and a port."""
    return kind != "files"


def goes_in_tls(kind: str) -> bool:
    """Whether a transport can be in TLS."""
    return kind in _SECURE


def sends_events_apart(kind: str, format_: str) -> bool:
    """Whether events can have a receiver of their own."""
    return kind in ("tcp", "udp") and format_ in _EVENTFUL


def has_keepalives(kind: str, format_: str) -> bool:
    """Whether the connection is kept alive by the format's own PDUs."""
    return kind == "tcp" and format_ in DIALECTS


def read_transport(plain: Mapping[str, Any]) -> Transport:
    """A transport as it was asked for.

    Raises:
        UsageError: a setting is unknown or of the wrong kind.
    """
    known = {each.name: each.default for each in fields(Transport) if each.name != "files"}
    for name, value in plain.items():
        if name != "files" and name not in known:
            raise UsageError(f"a transport has no setting {name!r}.", f"Settings: {', '.join([*known, 'files'])}.")
        wanted = dict if name == "files" else type(known[name])
        if not isinstance(value, (float, int) if wanted is float else wanted) or (
            isinstance(value, bool) and wanted is not bool
        ):
            raise UsageError(f"the transport's setting {name} cannot be {value!r}.", "See `lictl agency add --help`.")
    return Transport(**plain)


def check_transport(transport: Transport, format_: str) -> None:
    """Refuses a way that cannot work.

    Raises:
        UsageError: what does not go together, and what to write instead.
    """
    problem = _kind_problem(transport.kind, format_)
    if problem is not None:
        raise problem
    _check_events(transport, format_)
    _check_times(transport, format_)
    _check_tls(transport)
    if transport.kind == "files":
        Filing.of(transport.files)
    elif transport.files:
        raise UsageError("settings of files go with the transport files.", "Add --transport files.")
    if not 0 <= transport.bytes_per_s <= _MOST_BYTES_PER_S:
        raise UsageError(f"a ceiling is a number of octets a second up to {_MOST_BYTES_PER_S}.", "Give 0 for none.")
    if transport.backlog_bytes and transport.backlog_bytes < _LEAST_BACKLOG:
        raise UsageError("a backlog of less than 1 MiB holds no block of packets.", "Write --backlog 1M or more.")


def _kind_problem(kind: str, format_: str) -> UsageError | None:
    if kind not in KINDS:
        return UsageError(f"there is no transport {kind!r}.", f"Transports: {', '.join(KINDS)}.")
    if kind == "udp" and format_ not in _DATAGRAMS:
        return UsageError(
            f"the format {format_} does not go over UDP: a datagram would not hold one whole record of it.",
            f"Formats for UDP: {', '.join(sorted(_DATAGRAMS))}; or choose --transport tcp or lictl.",
        )
    if kind == "tcp" and format_ == "msgpack":
        return UsageError(
            "msgpack on a bare connection could not be read on after a reconnection: its interfaces are told once.",
            "Choose --transport lictl or files.",
        )
    if kind in ("tcp", "files") and format_ in _DATAGRAMS_ALONE:
        return UsageError(
            f"the format {format_} is made of datagrams and does not go over {kind}.", "Choose --transport udp."
        )
    return None


def _check_events(transport: Transport, format_: str) -> None:
    if bool(transport.events_host) != bool(transport.events_port) or not 0 <= transport.events_port <= 65535:
        raise UsageError("events need a host and a port.", "Write --events HOST:PORT.")
    if transport.events_port and not sends_events_apart(transport.kind, format_):
        raise UsageError(
            f"events of their own do not go with {format_} over {transport.kind}.",
            f"They do with {', '.join(sorted(_EVENTFUL))} over tcp or udp; leave --events out.",
        )


def _check_times(transport: Transport, format_: str) -> None:
    for name in ("keepalive_s", "response_s"):
        value = getattr(transport, name)
        if not 0 <= value <= _MOST_S:
            raise UsageError(f"{name} is a number of seconds up to {_MOST_S:.0f}.", "Give 0 for the format's own.")
        if value and not has_keepalives(transport.kind, format_):
            raise UsageError(
                f"{format_} over {transport.kind} has no keep-alives.",
                f"They go with {', '.join(sorted(DIALECTS))} over tcp; leave --keepalive and --response out.",
            )


def _check_tls(transport: Transport) -> None:
    if not transport.tls:
        if transport.ca or transport.certificate or transport.key:
            raise UsageError("certificates go with TLS.", "Add --tls.")
        return
    if not goes_in_tls(transport.kind):
        raise UsageError(f"TLS does not go over {transport.kind}.", "Choose --transport tcp or lictl.")
    check_credentials(transport)
