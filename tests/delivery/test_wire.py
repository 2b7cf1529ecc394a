# SPDX-License-Identifier: Apache-2.0
"""The frame parser and the bodies of frames."""

from __future__ import annotations

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lictl.delivery import wire
from lictl.delivery.blocks import HEADER_BYTES, MAX_PAYLOAD
from lictl.delivery.wire import DamagedRange, FrameParser, FrameType, Hello, ProtocolError

ALL = frozenset(FrameType)
HELLO = Hello("L-1", "W-1", "0" * 32, "text", "txt", "content", "op", "el", 7)
FRAMES = [
    wire.hello_frame(HELLO),
    wire.welcome_frame(1, 5),
    wire.refuse_frame("no"),
    wire.number_frame(FrameType.ACK, 2**64 - 1),
    wire.number_frame(FrameType.PING, 0),
    wire.damaged_frame(DamagedRange(1, 2, 3)),
    wire.frame_head(FrameType.END, 0),
    wire.frame_head(FrameType.BLOCK, HEADER_BYTES + 100) + bytes(HEADER_BYTES + 100),
]


@settings(max_examples=200)
@given(st.lists(st.integers(0, len(FRAMES) - 1), min_size=1, max_size=30), st.data())
def test_frames_survive_any_segmentation(order: list[int], data: st.DataObject) -> None:
    """However TCP cuts the bytes, the same frames come out."""
    stream = b"".join(FRAMES[number] for number in order)
    parser = FrameParser(ALL, 256)
    got = []
    while stream:
        n = data.draw(st.integers(1, len(stream)))
        got += [(frame.type, bytes(frame.body)) for frame in parser.feed(stream[:n])]
        stream = stream[n:]
    assert got == [(FRAMES[number][0], FRAMES[number][8:]) for number in order]


@given(st.binary(max_size=2000), st.integers(1, 100))
def test_garbage_is_an_error_of_ours(data: bytes, step: int) -> None:
    """Arbitrary bytes give frames or a ProtocolError; bodies too; memory stays bounded."""
    parser = FrameParser(ALL, 512)
    try:
        for at in range(0, len(data), step):
            for frame in parser.feed(data[at : at + step]):
                parse_body(frame)
    except ProtocolError:
        pass
    assert parser.capacity <= 8 + HEADER_BYTES + MAX_PAYLOAD


def parse_body(frame: wire.Frame) -> None:
    """Parses a frame's body as its receiver would."""
    parsers = {
        FrameType.HELLO: wire.parse_hello,
        FrameType.WELCOME: wire.parse_welcome,
        FrameType.REFUSE: wire.parse_refuse,
        FrameType.ACK: wire.parse_number,
        FrameType.DAMAGED: wire.parse_damaged,
    }
    if frame.type in parsers:
        parsers[frame.type](frame.body)


@settings(max_examples=300)
@given(st.sampled_from([1, 2, 8, 9]), st.binary(min_size=1, max_size=300))
def test_garbage_bodies_are_errors_of_ours(kind: int, body: bytes) -> None:
    """A frame with a fitting head and arbitrary body is parsed or refused, nothing else."""
    body = body[:24].ljust(24, b"\0") if kind == FrameType.DAMAGED else body
    for frame in FrameParser(ALL).feed(wire.frame_head(FrameType(kind), len(body)) + body):
        try:
            parse_body(frame)
        except ProtocolError:
            return


@pytest.mark.parametrize(
    ("kind", "length"),
    [
        (0, 0), (10, 8), (255, 8), (FrameType.ACK, 7), (FrameType.ACK, 9), (FrameType.END, 1),
        (FrameType.BLOCK, HEADER_BYTES - 1), (FrameType.BLOCK, HEADER_BYTES + MAX_PAYLOAD + 1),
        (FrameType.HELLO, 0), (FrameType.HELLO, 65_537), (FrameType.DAMAGED, 23),
    ],
)  # fmt: skip
def test_lengths_are_checked_before_memory_is_taken(kind: int, length: int) -> None:
    """A head that promises too much or too little is refused at once."""
    head = bytes([kind, 0, 0, 0]) + length.to_bytes(4, "little")
    parser = FrameParser(ALL, 64)
    with pytest.raises(ProtocolError):
        list(parser.feed(head))
    assert parser.capacity == 64


def test_frame_out_of_turn_is_refused() -> None:
    """Only the types that a side expects now are taken; reserved bits must be zero."""
    with pytest.raises(ProtocolError):
        list(FrameParser(frozenset({FrameType.HELLO})).feed(wire.number_frame(FrameType.ACK, 1)))
    with pytest.raises(ProtocolError):
        list(FrameParser(ALL).feed(b"\x04\x01\x00\x00\x08\x00\x00\x00" + bytes(8)))


def test_talk_round_trip() -> None:
    """HELLO, WELCOME and REFUSE say what they were given."""
    (hello, welcome, refuse) = (frame for raw in FRAMES[:3] for frame in FrameParser(ALL).feed(raw))
    assert wire.parse_hello(hello.body) == HELLO
    assert wire.parse_welcome(welcome.body) == (1, 5)
    assert wire.parse_refuse(refuse.body) == "no"


def test_later_versions_may_add_fields() -> None:
    """An unknown field of HELLO is ignored; a missing or wrong one is refused."""
    body = msgpack.unpackb(FRAMES[0][8:])
    assert wire.parse_hello(memoryview(msgpack.packb({**body, "new": 1}))) == HELLO
    for name in ("protocol", "liid", "spool", "first", "versions"):
        with pytest.raises(ProtocolError):
            wire.parse_hello(memoryview(msgpack.packb({key: body[key] for key in body if key != name})))
        with pytest.raises(ProtocolError):
            wire.parse_hello(memoryview(msgpack.packb({**body, name: -1})))


def test_refusal_text_is_made_printable() -> None:
    """Control characters of a hostile receiver never reach the operator's terminal."""
    (frame,) = FrameParser(ALL).feed(wire.refuse_frame("bad\x1b[2J\n"))
    assert wire.parse_refuse(frame.body) == "bad?[2J?"


def test_large_frames_do_not_keep_their_memory() -> None:
    """After a very large frame the buffer becomes small again."""
    parser = FrameParser(ALL, 1024)
    raw = wire.frame_head(FrameType.BLOCK, HEADER_BYTES + (8 << 20)) + bytes(HEADER_BYTES + (8 << 20))
    assert len([frame.type for frame in parser.feed(raw)]) == 1
    assert len(parser.space()) == 1024
