# SPDX-License-Identifier: Apache-2.0
"""The Call Content Connection of PacketCable: one IP packet a UDP datagram. Content only: docs/formats/ccc.md."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from lictl.errors import UsageError
from lictl.handover.mirror import MirrorContent
from lictl.handover.options import Choice, Free, check_options
from lictl.probe.native import lib

if TYPE_CHECKING:
    from lictl.handover.base import StreamInfo
    from lictl.handover.options import Option

_NUMBER: Final = "a number, or derived (made from the order's names)"
OPTIONS: Final[dict[str, Option]] = {
    "header": Choice(
        ("12", "4", "20"), "Octets of the header: 4 have the CCCID alone, 12 the time, 20 the case id too."
    ),
    "cccid": Free(
        "derived", r"derived|[0-9]{1,10}", _NUMBER, "Which interception, in 32 bits; a number is for one order alone."
    ),
    "case": Free("derived", r"derived|[0-9]{1,19}", _NUMBER, "The case id of a header of 20 octets, in 64 bits."),
}


def cccid_of(liid: str, option: str = "derived") -> int:
    """The call content connection identifier: the option's number, or 31 bits that only the LIID decides.

    Raises:
        UsageError: the number is longer than 32 bits.
    """
    if option == "derived":
        return _hashed(b"lictl cccid", liid) >> 33 or 1
    if (number := int(option)) >= 1 << 32:
        raise UsageError("the option cccid is longer than 32 bits.", "Use a number up to 4294967295.")
    return number


def case_of(case_id: str, option: str = "derived") -> int:
    """The case id of 64 bits: the option's number, the agency's own where it is one, else made from it."""
    text = case_id if option == "derived" else option
    if text.isascii() and text.isdecimal() and len(text) <= 19:
        return int(text)
    return _hashed(b"lictl case", case_id)


class CccContent(MirrorContent):
    """IP packets cut at their own length; frames that hold none cannot be carried and count as losses."""

    name = "ccc"
    suffix = "ccc"

    def __init__(self, info: StreamInfo) -> None:
        options = check_options(info.options, OPTIONS)
        size = int(options["header"])
        head = cccid_of(info.liid, options["cccid"]).to_bytes(4) + bytes(8)
        head += case_of(info.case_id, options["case"]).to_bytes(8)
        super().__init__(info, lib.ln_ccc_packets, head[:size], timed=size > 4)


def _hashed(what: bytes, text: str) -> int:
    return int.from_bytes(hashlib.sha256(what + b"\0" + text.encode()).digest()[:8])
