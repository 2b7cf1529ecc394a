# SPDX-License-Identifier: Apache-2.0
"""The formats there are, by name and mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lictl.errors import RefusedError, UsageError
from lictl.handover.atis import AtisContent, AtisHeaders
from lictl.handover.ccc import CccContent
from lictl.handover.etsi import EtsiContent
from lictl.handover.etsi_summary import etsi_headers
from lictl.handover.msgpack import MsgpackContent, MsgpackHeaders
from lictl.handover.pcap import PcapContent, PcapHeaders
from lictl.handover.pcapng import PcapngContent, PcapngHeaders
from lictl.handover.readers import PDU_FORMATS
from lictl.handover.text import TextContent, TextHeaders
from lictl.handover.tzsp import TzspContent
from lictl.handover.x2x3 import X2Headers, X3Content

if TYPE_CHECKING:
    from collections.abc import Callable

    from lictl.handover.base import ContentEncoder, HeadersEncoder, Mode, StreamInfo

__all__ = [
    "CONTENT", "HEADERS", "PDU_FORMATS", "content_encoder", "encoder", "formats", "headers_encoder",
]  # fmt: skip

CONTENT: dict[str, Callable[[StreamInfo], ContentEncoder]] = {
    "pcapng": PcapngContent,
    "text": TextContent,
    "msgpack": MsgpackContent,
    "etsi-102232": EtsiContent,
    "etsi-103221-2": X3Content,
    "tzsp": TzspContent,
    "ccc": CccContent,
    "pcap": PcapContent,
    "atis-1000013": AtisContent,
}
HEADERS: dict[str, Callable[[StreamInfo], HeadersEncoder]] = {
    "pcapng": PcapngHeaders,
    "text": TextHeaders,
    "msgpack": MsgpackHeaders,
    "etsi-102232": etsi_headers,
    "etsi-103221-2": X2Headers,
    "pcap": PcapHeaders,
    "atis-1000013": AtisHeaders,
}


def formats(mode: Mode) -> tuple[str, ...]:
    """Names of the formats that can carry the mode."""
    return tuple(sorted(CONTENT if mode == "content" else HEADERS))


def content_encoder(name: str, info: StreamInfo) -> ContentEncoder:
    """An encoder for a content order.

    Raises:
        RefusedError: the order is not for content, or the format cannot carry it.
        UsageError: no such format, or an option of it is wrong.
    """
    _check(name, info, "content")
    return CONTENT[name](info)


def headers_encoder(name: str, info: StreamInfo) -> HeadersEncoder:
    """An encoder for a headers order; same errors."""
    _check(name, info, "headers")
    return HEADERS[name](info)


def encoder(name: str, info: StreamInfo) -> ContentEncoder | HeadersEncoder:
    """The encoder for the order's mode; same errors."""
    return content_encoder(name, info) if info.mode == "content" else headers_encoder(name, info)


def _check(name: str, info: StreamInfo, mode: Mode) -> None:
    if info.mode != mode:
        raise RefusedError(f"an order for {info.mode} cannot be given an encoder for {mode}.")
    if name not in CONTENT and name not in HEADERS:
        raise UsageError(f"there is no handover format {name!r}.", f"Formats: {', '.join(sorted(CONTENT | HEADERS))}.")
    if name not in formats(mode):
        raise RefusedError(
            f"the format {name} cannot carry an order for {mode}.", f"Choose one of {', '.join(formats(mode))}."
        )
