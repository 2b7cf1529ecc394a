# SPDX-License-Identifier: Apache-2.0
"""`lictl agency test`: says something that delivers nothing, on the way of a delivery, and hears the answer."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any

from lictl.delivery import wire
from lictl.delivery.config import StreamConfig
from lictl.delivery.tls import TlsError, client_context, explain
from lictl.errors import RefusedError, UnavailableError
from lictl.handover.decoded import DecodeError
from lictl.handover.dialects import dialect
from lictl.times import format_rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable

    from lictl.delivery.config import Transport
    from lictl.service.site import Site
    from lictl.warrants.model import Agency

TEST_STREAM = "connection-test"
_ANSWERS = frozenset({wire.FrameType.WELCOME, wire.FrameType.REFUSE})
_UDP_WAIT_S = 0.5
_ASK = "Check host, port and the way there; ask the agency whether its receiver runs."


def greet(agency: Agency, site: Site, timeout_s: float) -> dict[str, Any]:
    """Reaches an agency by its transport.

    Args:
        agency: with the private key in its transport, where it has one.
        site: how this side names itself.
        timeout_s: for all of it.

    Returns:
        `address` of what answered, `milliseconds` until then, `answer` for people; `version` of lictl's protocol;
        `tls`: its version, whom the certificate is for, and until when.

    Raises:
        UnavailableError: no connection, no answer, or something that speaks another protocol.
        RefusedError: it refused, with its reason.
        TlsError: there is no secure connection.
    """
    if agency.transport.kind == "files":
        return {"address": "", "milliseconds": 0.0, "answer": "fetches files, so there is nobody to connect to"}
    end = time.monotonic() + timeout_s
    try:
        if agency.transport.kind == "udp":
            return _datagram(agency)
        return _connection(agency, site, end)
    except TlsError:
        raise
    except ssl.SSLError as error:
        raise explain(error, agency.host) from None
    except OSError as error:
        raise UnavailableError(
            f"agency {agency.name} does not answer at {_where(agency)}: {error.strerror or error}.", _ASK
        ) from None


def _where(agency: Agency) -> str:
    return f"{agency.host} port {agency.port}"


def _connection(agency: Agency, site: Site, end: float) -> dict[str, Any]:
    began = time.monotonic()
    with _connect(agency, agency.transport, end) as connection:
        say = _lictl if agency.transport.kind == "lictl" else _raw
        found = {"address": connection.getpeername()[0], **say(agency, site, connection, end)}
        found["milliseconds"] = round((time.monotonic() - began) * 1000, 1)
        if isinstance(connection, ssl.SSLSocket):
            certificate = connection.getpeercert() or {}
            until = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
            names = ", ".join(str(name[1]) for name in certificate.get("subjectAltName", ()))
            found["tls"] = {
                "version": connection.version(), "names": names, "until": format_rfc3339(until * 1_000_000_000),
            }  # fmt: skip
        return found


def _connect(agency: Agency, transport: Transport, end: float) -> socket.socket:
    connection = socket.create_connection((agency.host, agency.port), timeout=_left(end))
    if not transport.tls:
        return connection
    try:
        return client_context(transport).wrap_socket(connection, server_hostname=agency.host)
    except BaseException:
        connection.close()
        raise


def _left(end: float) -> float:
    return max(end - time.monotonic(), 0.001)


# ---- lictl's own protocol


def _lictl(agency: Agency, site: Site, connection: socket.socket, end: float) -> dict[str, Any]:
    """HELLO for a stream that does not exist, its answer, END."""
    hello = wire.Hello(
        liid=TEST_STREAM, stream=TEST_STREAM, spool=wire.TEST_SPOOL, format=agency.format, suffix="test",
        operator=site.operator, element=site.element,
    )  # fmt: skip
    connection.sendall(wire.hello_frame(hello))
    version = _heard(agency, connection, end, _Welcome(_where(agency)))
    connection.sendall(wire.frame_head(wire.FrameType.END, 0))
    return {"version": version, "answer": f"speaks version {version} of lictl's delivery protocol"}


class _Welcome:
    def __init__(self, where: str) -> None:
        self._where = where
        self._parser = wire.FrameParser(_ANSWERS)

    def __call__(self, data: bytes) -> int | None:
        try:
            for frame in self._parser.feed(data):
                if frame.type is wire.FrameType.REFUSE:
                    raise RefusedError(f"{self._where} refused: {wire.parse_refuse(frame.body)}", "Ask the agency.")
                return wire.parse_welcome(frame.body)[0]
        except wire.ProtocolError as error:
            raise UnavailableError(
                f"what answers at {self._where} is no receiver of lictl's delivery protocol: {error.what}",
                "Check the port.",
            ) from None
        return None


def _heard(agency: Agency, connection: socket.socket, end: float, take: Callable[[bytes], int | None]) -> int:
    """Reads until `take` has its answer; one that talks without end about something else has none."""
    while time.monotonic() < end:
        connection.settimeout(_left(end))
        data = connection.recv(4096)
        if not data:
            raise UnavailableError(f"{_where(agency)} closed the connection without an answer.", "Ask the agency.")
        found = take(data)
        if found is not None:
            return found
    raise TimeoutError("it did not answer in time")


# ---- a format's own protocol


def _raw(agency: Agency, site: Site, connection: socket.socket, end: float) -> dict[str, Any]:
    """The test PDU and a keep-alive, where the format has them."""
    stream = StreamConfig(
        TEST_STREAM, TEST_STREAM, agency.format, "test", operator=site.operator, element=site.element,
        country=site.country, options=agency.options,
    )  # fmt: skip
    spoken = dialect(stream)
    connection.sendall(spoken.connected() + spoken.test())
    if not spoken.keepalive_s:
        return {"answer": "took the connection; the format has no answers"}
    connection.sendall(spoken.keepalive())

    def take(data: bytes) -> int | None:
        try:
            return 1 if any(answer.alive for answer in spoken.received(data)) else None
        except DecodeError as error:
            raise UnavailableError(
                f"what answers at {_where(agency)} does not speak {agency.format}: {error}.", "Check port and format."
            ) from None

    _heard(agency, connection, end, take)
    return {"answer": f"took a test PDU of {agency.format} and answered a keep-alive"}


# ---- datagrams


def _datagram(agency: Agency) -> dict[str, Any]:
    """An empty datagram: only a machine on which nothing listens answers, by refusing."""
    family, kind, number, _, address = socket.getaddrinfo(agency.host, agency.port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind, number) as port:
        port.connect(address)
        port.settimeout(_UDP_WAIT_S)
        port.send(b"")
        with contextlib.suppress(TimeoutError):
            port.recv(1)
    return {"address": str(address[0]), "milliseconds": 0.0, "answer": "was not refused; UDP says nothing more"}
