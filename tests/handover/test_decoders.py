# SPDX-License-Identifier: Apache-2.0
"""Decoders answer any bytes with items or a DecodeError, and hold little of them in memory."""

from __future__ import annotations

import contextlib
import io
import struct
import tracemalloc
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from handover_records import encode_all, header, info, numbered, packet
from hypothesis import given, settings
from hypothesis import strategies as st

from lictl import handover
from lictl.errors import UsageError
from lictl.handover.base import Gap
from lictl.handover.decode import DECODERS, DecodeError, decode
from lictl.handover.decoded import MAX_ITEM
from lictl.handover.registry import formats

if TYPE_CHECKING:
    from lictl.handover.base import Mode

FORMS = sorted(DECODERS)
MODES: tuple[Mode, ...] = ("headers", "content")
STREAMS = [(form, mode) for form in FORMS for mode in MODES if form in formats(mode)]


@cache
def sample(form: str, mode: Any) -> bytes:
    """A small good stream with all there can be."""
    encoder = handover.encoder(form, info(mode))
    frames = [b"\x02" * 14 + b"E" * 40, b"\x02" * 14 + b"E" * 6]
    recs = numbered([packet(f) for f in frames] if mode == "content" else [header(), header(ip_version=6)])
    data, _ = encode_all(encoder, recs, frames if mode == "content" else None)
    return data + encoder.gap(Gap(3, 3, "quota", 10**18, 10**18 + 1)) + encoder.opening()


def drain(form: str, data: bytes) -> int:
    with contextlib.suppress(DecodeError):
        return sum(1 for _ in decode(form, io.BytesIO(data)))
    return -1


@pytest.mark.parametrize("form", FORMS)
@given(data=st.binary(max_size=300))
def test_any_bytes(form: str, data: bytes) -> None:
    """Noise alone."""
    drain(form, data)


@pytest.mark.parametrize(("form", "mode"), STREAMS)
@given(data=st.data())
@settings(max_examples=150)
def test_damaged_streams(form: str, mode: str, data: st.DataObject) -> None:
    """A good stream with octets changed, removed, inserted or its end cut off."""
    stream = bytearray(sample(form, mode))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(stream) - 1))
        noise = data.draw(st.binary(max_size=4))
        stream[at : at + data.draw(st.integers(0, 4))] = noise
        if not stream:
            break
    drain(form, bytes(stream))


@pytest.mark.parametrize(("form", "mode"), STREAMS)
def test_every_cut_is_seen(form: str, mode: str) -> None:
    """A stream that ends between items is good so far, inside an item it is an error."""
    stream = sample(form, mode)
    whole = drain(form, stream)
    assert whole >= 3  # of a format without interfaces and gaps
    good = [cut for cut in range(len(stream)) if drain(form, stream[:cut]) >= 0]
    assert len(good) <= whole + 2


@pytest.mark.parametrize(
    ("form", "data"),
    [
        ("pcapng", struct.pack("<II", 0x0A0D0D0A, 2**32 - 4)),
        ("pcapng", b"\n\r\r\n" + b"\0" * 20),
        ("text", b"A" * (2 * MAX_ITEM)),
        ("text", b"HEADERS LIID=x SEQ=1\n"),
        ("text", b"LICTL-TEXT VERSION=2 MODE=HEADERS\n"),
        ("text", b"LICTL-TEXT VERSION=1 MODE=HEADERS\nHEADERS SEQ=1 SEQ=2\n"),
        ("text", b"LICTL-TEXT VERSION=1 MODE=HEADERS\nGAP LIID=x LOST=2 FIRST=1 LAST=9 REASON=R FROM=a TO=b\n"),
        ("msgpack", b"\xdd\xff\xff\xff\xff"),
        ("msgpack", b"\xc6\xff\xff\xff\xff"),
        ("msgpack", b"\x91" * 5000),
        ("msgpack", b"\x94\x04\x00\xa1a\xa1b"),
    ],
)
def test_lies_about_length_and_order(form: str, data: bytes) -> None:
    """Huge lengths, endless lines, deep nesting, records before an opening: an error at once, in little memory."""
    tracemalloc.start()
    with pytest.raises(DecodeError):
        list(decode(form, io.BytesIO(data)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


def test_no_such_decoder() -> None:
    """The error names those there are."""
    with pytest.raises(UsageError, match=r"Formats: .*msgpack.*pcapng.*text"):
        decode("pdf", io.BytesIO(b""))
