# SPDX-License-Identifier: Apache-2.0
"""Decoding a delivered stream, by the format's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from lictl.errors import UsageError
from lictl.handover.decode_atis import decode_atis
from lictl.handover.decode_mirror import decode_ccc, decode_tzsp
from lictl.handover.decode_msgpack import decode_msgpack
from lictl.handover.decode_pcap import decode_pcap
from lictl.handover.decode_pcapng import decode_pcapng
from lictl.handover.decode_text import decode_text
from lictl.handover.decode_x2x3 import decode_x2x3
from lictl.handover.decoded import DecodeError, Interface, Item, Loss, Opening, Record
from lictl.handover.etsi_stream import decode_etsi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["DECODERS", "DecodeError", "Interface", "Item", "Loss", "Opening", "Record", "decode"]

DECODERS: dict[str, Callable[[BinaryIO], Iterator[Item]]] = {
    "pcapng": decode_pcapng,
    "text": decode_text,
    "msgpack": decode_msgpack,
    "etsi-102232": decode_etsi,
    "etsi-103221-2": decode_x2x3,
    "tzsp": decode_tzsp,
    "ccc": decode_ccc,
    "pcap": decode_pcap,
    "atis-1000013": decode_atis,
}


def decode(name: str, stream: BinaryIO) -> Iterator[Item]:
    """The items of a stream, one at a time.

    Args:
        name: of the format.
        stream: open for reading; may hold several sections, as a restart begins a new one.

    Raises:
        UsageError: no such format.
        DecodeError: on the way, where the bytes are not of the format.
    """
    decoder = DECODERS.get(name)
    if decoder is None:
        raise UsageError(f"there is no decoder for {name!r}.", f"Formats: {', '.join(sorted(DECODERS))}.")
    return decoder(stream)
