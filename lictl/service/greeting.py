# SPDX-License-Identifier: Apache-2.0
"""`lictl agency test`: the delivery protocol's greeting for a stream that does not exist; nothing is delivered."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

from lictl.delivery import wire
from lictl.errors import RefusedError, UnavailableError

if TYPE_CHECKING:
    from lictl.service.site import Site
    from lictl.warrants.model import Agency

TEST_STREAM = "connection-test"
_ANSWERS = frozenset({wire.FrameType.WELCOME, wire.FrameType.REFUSE})


def greet(agency: Agency, site: Site, timeout_s: float) -> dict[str, Any]:
    """Connects, says HELLO, waits for the answer and says END.

    Returns:
        `{"address", "milliseconds", "version"}` of the receiver that answered.

    Raises:
        UnavailableError: no connection, no answer, or something that is no receiver of this protocol.
        RefusedError: it refused, with its reason.
    """
    where = f"{agency.host} port {agency.port}"
    hello = wire.Hello(
        liid=TEST_STREAM, stream=TEST_STREAM, spool=wire.TEST_SPOOL, format=agency.format, suffix="test",
        operator=site.operator, element=site.element,
    )  # fmt: skip
    began = time.monotonic()
    try:
        with socket.create_connection((agency.host, agency.port), timeout=timeout_s) as connection:
            address = connection.getpeername()[0]
            connection.sendall(wire.hello_frame(hello))
            version = _answer(connection, began + timeout_s, where)
            milliseconds = round((time.monotonic() - began) * 1000, 1)
            connection.sendall(wire.frame_head(wire.FrameType.END, 0))
    except OSError as error:
        raise UnavailableError(
            f"agency {agency.name} does not answer at {where}: {error.strerror or error}.",
            "Check host, port and the way there; ask the agency whether its receiver runs.",
        ) from None
    return {"address": address, "milliseconds": milliseconds, "version": version}


def _answer(connection: socket.socket, end: float, where: str) -> int:
    parser = wire.FrameParser(_ANSWERS)
    try:
        while True:
            connection.settimeout(max(end - time.monotonic(), 0.001))
            data = connection.recv(4096)
            if not data:
                raise UnavailableError(f"{where} closed the connection without an answer.", "Ask the agency.")
            for frame in parser.feed(data):
                if frame.type is wire.FrameType.REFUSE:
                    raise RefusedError(f"{where} refused: {wire.parse_refuse(frame.body)}", "Ask the agency.")
                return wire.parse_welcome(frame.body)[0]
    except wire.ProtocolError as error:
        raise UnavailableError(
            f"what answers at {where} is no receiver of lictl's delivery protocol: {error.what}", "Check the port."
        ) from None
