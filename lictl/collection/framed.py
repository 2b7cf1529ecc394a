# SPDX-License-Identifier: Apache-2.0
"""Formats whose PDUs are datagrams: where these lie one behind the other, each has its length before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from lictl.handover.decode_etsi import EtsiFormat
from lictl.handover.decoded import DecodeError
from lictl.handover.pdu import MAX_PDU
from lictl.handover.readers import PDU_FORMATS

if TYPE_CHECKING:
    from lictl.handover.pdu import Pdu, PduFormat

_HEAD = 4


class _Framed:
    """A format of datagrams as it lies in a file or goes over a connection: big-endian u32 of the length, datagram."""

    def __init__(self, format_: PduFormat) -> None:
        self._format = format_

    def length(self, data: memoryview) -> int:
        """Of the first datagram and its length; 0 where that is not there; DecodeError where it is impossible."""
        if len(data) < _HEAD:
            return 0
        size = int.from_bytes(data[:_HEAD])
        if not 0 < size <= MAX_PDU - _HEAD:
            raise DecodeError(f"no datagram has {size} octets")
        return _HEAD + size

    def decode(self, pdu: bytes) -> Pdu:
        """The datagram; its `raw` is without the length."""
        return self._format.decode(pdu[_HEAD:])


class _Tzsp(_Framed):
    name: ClassVar[str] = "tzsp"


class _Ccc(_Framed):
    name: ClassVar[str] = "ccc"


_READERS: dict[str, PduFormat] = {"tzsp": _Tzsp(PDU_FORMATS["tzsp"]), "ccc": _Ccc(PDU_FORMATS["ccc"])}
LENGTH_FRAMED = frozenset(_READERS)


def stream_reader(name: str, payload_keys: tuple[bytes, ...] = ()) -> PduFormat:
    """What reads a format's PDUs where they follow one another.

    Args:
        name: of the format.
        payload_keys: that open sealed payloads, where the format has them.

    Raises:
        DecodeError: the format is not made of PDUs.
    """
    if name not in PDU_FORMATS:
        raise DecodeError(f"the format {name} is not received on a bare connection")
    return _READERS.get(name) or reader(name, payload_keys)


def reader(name: str, payload_keys: tuple[bytes, ...] = ()) -> PduFormat:
    """What reads single PDUs of a format that has them; KeyError for another one."""
    return EtsiFormat(*payload_keys) if name == EtsiFormat.name and payload_keys else PDU_FORMATS[name]


def framed(name: str, raw: bytes) -> bytes:
    """A PDU as it is kept in a file."""
    return len(raw).to_bytes(_HEAD) + raw if name in LENGTH_FRAMED else raw
