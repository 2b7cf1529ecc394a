# SPDX-License-Identifier: Apache-2.0
"""Formats with a protocol of their own on a connection. No encoders: delivery processes load nothing of those."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lictl.handover.etsi_dialect import EtsiDialect
from lictl.handover.pdu import Silent
from lictl.handover.x2x3_dialect import X2X3Dialect

if TYPE_CHECKING:
    from collections.abc import Callable

    from lictl.delivery.config import StreamConfig
    from lictl.handover.pdu import Dialect

DIALECTS: dict[str, Callable[[StreamConfig], Dialect]] = {
    "etsi-102232": EtsiDialect,
    "etsi-103221-2": X2X3Dialect,
}
"""Of all others `Silent` serves."""


def dialect(stream: StreamConfig) -> Dialect:
    """What a connection of the stream's format needs beside its PDUs."""
    return DIALECTS.get(stream.format, Silent)(stream)
