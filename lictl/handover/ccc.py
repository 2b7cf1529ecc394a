# SPDX-License-Identifier: Apache-2.0
"""The Call Content Connection of PacketCable: one IP packet a UDP datagram. Content only: docs/formats/ccc.md."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

from lictl.errors import UsageError
from lictl.handover.base import ContentEncoder
from lictl.handover.native import PduEncoder
from lictl.handover.options import Free, check_options
from lictl.probe.native import ffi, lib

if TYPE_CHECKING:
    from lictl.handover.base import StreamInfo
    from lictl.probe.batch import Batch, Selection

_NUMBER: Final = "a number, or derived (made from the order's names)"
OPTIONS: Final[dict[str, tuple[str, ...] | Free]] = {
    "header": ("12", "4", "20"),
    "cccid": Free("derived", r"derived|[0-9]{1,10}", _NUMBER),
    "case": Free("derived", r"derived|[0-9]{1,19}", _NUMBER),
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


class CccContent(PduEncoder, ContentEncoder):
    """IP packets cut at their own length; frames that hold none cannot be carried and count as losses."""

    name = "ccc"
    suffix = "ccc"
    framing = "length"

    def __init__(self, info: StreamInfo) -> None:
        super().__init__(info)
        options = check_options(info.options, OPTIONS)
        size = int(options["header"])
        head = cccid_of(info.liid, options["cccid"]).to_bytes(4) + bytes(8)
        head += case_of(info.case_id, options["case"]).to_bytes(8)
        self._c = ffi.new("struct ln_mirror *", {"head": list(head[:size]), "head_len": size, "timed": size > 4})

    def _write(self, batch: Batch, selection: Selection, start: int, out: Any, room: int, done: Any) -> int:
        c = batch.c
        size = int(lib.ln_ccc_packets(c.recs, c.data, selection.c, start, self._c, out, room, done))
        self._unfit += self._c.unfit
        self.too_long += self._c.too_long
        return size


def _hashed(what: bytes, text: str) -> int:
    return int.from_bytes(hashlib.sha256(what + b"\0" + text.encode()).digest()[:8])
