# SPDX-License-Identifier: Apache-2.0
"""Where an agency listens: TCP, TLS and UDP, each on ports of its own."""

from __future__ import annotations

import re
import socket
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lictl.errors import UnavailableError, UsageError
from lictl.inputs import read_bytes

if TYPE_CHECKING:
    from pathlib import Path

Address = tuple[str, int]
_UDP_BUFFER = 8 << 20

_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Listen:
    """One port.

    Attributes:
        address: host and port; port 0 takes a free one.
        format: what comes there; "": each connection or datagram is told by its first octets.
    """

    address: Address
    format: str = ""


def parse(text: str, option: str, formats: frozenset[str]) -> Listen:
    """HOST:PORT or HOST:PORT=FORMAT.

    Raises:
        UsageError: it is neither, or the format is not among `formats`.
    """
    where, equals, name = text.partition("=")
    host, colon, port = where.rpartition(":")
    if not colon or not _PORT.fullmatch(port) or int(port) > 65535:
        raise UsageError(f"{option} {text} is not HOST:PORT.", "Write 127.0.0.1:41900 or [::1]:41900.")
    if equals and name not in formats:
        raise UsageError(
            f"{option} {text} names no format that can come there.", f"One of {', '.join(sorted(formats))}."
        )
    return Listen((host.removeprefix("[").removesuffix("]"), int(port)), name)


def ports(texts: list[str], option: str, format_: str) -> list[Listen]:
    """What `parse` makes of each text; `format_` is that of the ports that name none, "auto" to find it out.

    Raises:
        UsageError: as `parse`, or there is no such format.
    """
    from lictl.collection.detect import LICTL
    from lictl.handover.readers import PDU_FORMATS

    known = frozenset(PDU_FORMATS) | (frozenset() if option == "--udp" else {LICTL})
    if format_ != "auto" and format_ not in PDU_FORMATS and format_ != LICTL:
        raise UsageError(f"there is no format {format_!r} to receive.", f"One of auto, {', '.join(sorted(known))}.")
    default = "" if format_ == "auto" else format_
    return [Listen(port.address, port.format or default) for port in (parse(text, option, known) for text in texts)]


def server_context(certificate: Path, key: Path, ca: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or later; with `ca` only senders with a certificate that it signed.

    Raises:
        UnavailableError: a file cannot be read.
        UsageError: a file does not hold what it should.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in (certificate, key, *((ca,) if ca is not None else ())):
        read_bytes(path, "a PEM file")
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"certificate {certificate} and key {key} cannot be used: {error.strerror or error}.",
            "Name a PEM chain and its private key.",
        ) from None
    if ca is not None:
        try:
            context.load_verify_locations(ca)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"{ca} holds no CA: {error.strerror or error}.", "Name a PEM file.") from None
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def open_tcp(address: Address) -> socket.socket:
    """A listening socket.

    Raises:
        UnavailableError: the address cannot be listened on.
    """
    host, port = address
    try:
        family = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise _unavailable(address, error) from None
    listener.setblocking(False)
    return listener


def open_udp(address: Address) -> socket.socket:
    """A socket for datagrams, with as large a buffer as the system gives.

    Raises:
        UnavailableError: the address cannot be listened on.
    """
    host, port = address
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)[0]
        sock = socket.socket(found[0], socket.SOCK_DGRAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _UDP_BUFFER)
            sock.bind(found[4])
        except OSError:
            sock.close()
            raise
    except OSError as error:
        raise _unavailable(address, error) from None
    sock.setblocking(False)
    return sock


def _unavailable(address: Address, error: OSError) -> UnavailableError:
    host, port = address
    return UnavailableError(
        f"{host} port {port} cannot be listened on: {error.strerror}.", "Choose another address or port."
    )
