# SPDX-License-Identifier: Apache-2.0
"""pcapng of frames, judged by tshark, capinfos and our decoder."""

from __future__ import annotations

import io
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from handover_records import T0, encode_all, header, info, numbered, packet, select
from handover_tshark import capinfos, fields, tcpdump

from lictl import handover
from lictl.errors import RefusedError, UsageError
from lictl.handover.base import Gap
from lictl.handover.decode import Interface, Loss, Opening, Record, decode
from lictl.probe import abi
from lictl.probe.batch import Batch, Position
from lictl.probe.native import ffi, lib

if TYPE_CHECKING:
    from pathlib import Path

SIZES = [1, 13, 14, 15, 60, 61, 62, 63, 64, 512, 1500, 1514, 4095, 9000, 9014]


def udp_frame(payload: bytes, ports: tuple[int, int] = (4000, 53)) -> bytes:
    udp = struct.pack("!HHHH", *ports, 8 + len(payload), 0) + payload
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, b"\xcb\0\x71\x07", b"\xc6\x33\x64\x01")
    return bytes.fromhex("020000000001020000000002 0800") + ip + udp


def frames_of(sizes: list[int]) -> list[bytes]:
    return [(udp_frame(bytes(i % 251 for i in range(size)))[:size]).ljust(size, b"\xa5") for size in sizes]


def write(path: Path, recs: np.ndarray[Any, Any], frames: list[bytes], **options: str) -> Path:
    data, _ = encode_all(handover.encoder("pcapng", info("content", options)), recs, frames)
    path.write_bytes(data)
    return path


def test_tshark_reads_back_every_frame(tmp_path: Path) -> None:
    """Octets, lengths, times to the nanosecond, direction, losses, comment and interface, from 1 to 9,014 octets."""
    frames = frames_of(SIZES)
    recs = numbered([packet(frame, dir=i % 4, ifindex=3 + i % 2, hook=i // 2 % 2) for i, frame in enumerate(frames)])
    recs["slot_seq"] *= 3
    path = write(tmp_path / "a.pcapng", recs, frames)
    names = [
        "frame.time_epoch",
        "frame.cap_len",
        "frame.len",
        "frame.comment",
        "frame.packet_flags",
        "frame.drop_count",
    ]
    rows = fields(path, [*names, "frame.interface_name", "frame.interface_description"])
    assert len(rows) == len(frames)
    for i, (row, frame) in enumerate(zip(rows, frames, strict=True)):
        at = T0 + 1000 * i
        assert row["frame.time_epoch"] == f"{at // 10**9}.{at % 10**9:09d}"
        assert int(row["frame.cap_len"]) == int(row["frame.len"]) == len(frame)
        assert (row["frame.comment"], row["frame.drop_count"]) == (f"LIID=LIID0001 seq={3 * (i + 1)}", "2")
        assert int(row["frame.packet_flags"] or "0", 0) & 3 == {0: 0, 1: 2, 2: 1, 3: 0}[i % 4]
        assert row["frame.interface_name"] == ("eth1", "eth2")[i % 2]
        assert row["frame.interface_description"].startswith(("ingress", "egress")[i // 2 % 2])
    found = [item for item in decode("pcapng", io.BytesIO(path.read_bytes())) if isinstance(item, Record)]
    assert [item.data for item in found] == frames
    assert {item.lost_before for item in found} == {2}


def test_capinfos_and_tcpdump_open_it(tmp_path: Path) -> None:
    """Standard tools accept the file and count the packets."""
    frames = [udp_frame(b"x" * 20)] * 3
    path = write(tmp_path / "a.pcapng", numbered([packet(f) for f in frames]), frames)
    text = capinfos(path)
    assert "Number of packets:   3" in text
    assert "nanoseconds (9)" in text
    assert "LIID=LIID0001 case=CASE 1 operator=OPER1 element=probe01 country=US mode=content" in text
    assert [line.split(" IP ")[1] for line in tcpdump(path)] == ["203.0.113.7.4000 > 198.51.100.1.53: " + t for t in
            [line.split("53: ", 1)[1] for line in tcpdump(path)]]  # fmt: skip


@pytest.mark.parametrize(
    ("wire", "captured", "l3_len", "present", "original"),
    [
        (60, 46, 32, abi.HAS_LENGTH, 46),  # Ethernet padding is not content
        (74, 74, 60, abi.HAS_LENGTH, 74),
        (1514, 200, 1500, abi.HAS_LENGTH, 1514),  # the capture file was cut
        (100, 100, 1500, abi.HAS_LENGTH, 100),  # the IP length lies
        (100, 60, 0, 0, 100),
        (0, 60, 0, 0, 60),
    ],
)
def test_original_length(tmp_path: Path, wire: int, captured: int, l3_len: int, present: int, original: int) -> None:
    """It is the frame's length without what lies behind the IP packet, and never less than what is there."""
    frame = bytes(captured)
    rec = packet(frame, wire_len=wire, l3_len=l3_len, present=abi.HAS_IP | present)
    path = write(tmp_path / "a.pcapng", rec, [frame])
    (item,) = (i for i in decode("pcapng", io.BytesIO(path.read_bytes())) if isinstance(i, Record))
    assert (item.wire_length, len(item.data or b"")) == (original, captured)


def test_bare_ip_of_a_file(tmp_path: Path) -> None:
    """Option link=raw: packets without a link header are read as IP."""
    ip = udp_frame(b"q" * 9)[14:]
    path = write(tmp_path / "a.pcapng", packet(ip, l3_off=0, l3_len=len(ip)), [ip], link="raw")
    assert fields(path, ["ip.src", "udp.dstport"]) == [{"ip.src": "203.0.113.7", "udp.dstport": "53"}]


def test_a_batch_beyond_the_buffer_comes_in_whole_records() -> None:
    """Chunks are consecutive, each a whole number of blocks, and their numbers join."""
    frames = [bytes([i % 256]) * 9000 for i in range(400)]
    recs = numbered([packet(frame) for frame in frames])
    recs["slot_seq"] += np.arange(400, dtype=np.uint64) // np.uint64(100) * np.uint64(5)
    data, chunks = encode_all(handover.encoder("pcapng", info("content")), recs, frames)
    assert len(chunks) > 2
    assert sum(chunk.records for chunk in chunks) == 400
    before = 0
    for chunk in chunks:
        assert chunk.first_sequence == before + 1
        assert chunk.last_sequence - before == chunk.records + chunk.lost
        before = chunk.last_sequence
    assert before == 415
    found = [item.data for item in decode("pcapng", io.BytesIO(data)) if isinstance(item, Record)]
    assert found == frames


def test_every_chunk_is_readable_behind_the_opening(tmp_path: Path) -> None:
    """A new interface in the middle of a chunk is declared before its first packet."""
    frames = [udp_frame(bytes(30_000))] * 80
    recs = numbered([packet(f, ifindex=3 + (i > 20) + 1000 * (i > 70)) for i, f in enumerate(frames)])
    encoder = handover.encoder("pcapng", info("content"))
    batch = Batch.of(recs, frames)
    data = encoder.opening()
    for encoded in encoder.encode(batch, select(batch, abi.REC_PACKET)):
        data += bytes(encoded.payload)
        (tmp_path / "a.pcapng").write_bytes(data)
        rows = fields(tmp_path / "a.pcapng", ["frame.interface_name"])
        assert len(rows) == encoded.last_sequence
    assert [row["frame.interface_name"] for row in rows] == ["eth1"] * 21 + ["eth2"] * 50 + ["if1004"] * 9


def test_an_opening_begins_anew(tmp_path: Path) -> None:
    """After a restart a second section follows, with its own interfaces; readers take both."""
    frames = [udp_frame(b"a"), udp_frame(b"b")]
    encoder = handover.encoder("pcapng", info("content"))
    data = b""
    for i, frame in enumerate(frames):
        part, _ = encode_all(encoder, packet(frame, slot_seq=i + 1, ifindex=3 + i), [frame])
        data += part
    (tmp_path / "a.pcapng").write_bytes(data)
    rows = fields(tmp_path / "a.pcapng", ["udp.dstport", "frame.time_epoch", "frame.comment"])
    assert [row["frame.comment"] for row in rows] == ["LIID=LIID0001 seq=1", "LIID=LIID0001 seq=2"]
    assert [(row["udp.dstport"], row["frame.time_epoch"]) for row in rows] == [("53", "1772366400.123456789")] * 2
    names = [(i.number, i.name) for i in decode("pcapng", io.BytesIO(data)) if isinstance(i, Interface)]
    assert names == [(0, "eth1"), (0, "eth2")]


def test_a_gap_stands_in_the_file(tmp_path: Path) -> None:
    """As statistics of a pseudo interface, with a running drop count; tools still read the packets around it."""
    frame = udp_frame(b"a")
    encoder = handover.encoder("pcapng", info("content"))
    data, _ = encode_all(encoder, packet(frame), [frame])
    for lost in (5, 2):
        data += encoder.gap(Gap(lost, 2, "quota", T0, T0 + 10**9))
    batch = Batch.of(packet(frame, slot_seq=2, ifindex=4), [frame])
    for encoded in encoder.encode(batch, select(batch, abi.REC_PACKET)):
        data += bytes(encoded.payload)
    (tmp_path / "a.pcapng").write_bytes(data)
    assert [row["frame.interface_name"] for row in fields(tmp_path / "a.pcapng", ["frame.interface_name"])] == [
        "eth1",
        "eth2",
    ]
    assert "Number of packets:   2" in capinfos(tmp_path / "a.pcapng")
    losses = [item for item in decode("pcapng", io.BytesIO(data)) if isinstance(item, Loss)]
    assert losses == [Loss(lost, 2, "quota", T0, T0 + 10**9) for lost in (5, 2)]


def test_a_gap_may_come_first() -> None:
    """Before any interface is known."""
    encoder = handover.encoder("pcapng", info("content"))
    data = encoder.opening() + encoder.gap(Gap(0, 1, "restart", T0, T0))
    opening, _, loss = decode("pcapng", io.BytesIO(data))
    assert isinstance(opening, Opening)
    assert (opening.mode, opening.liid, opening.about["case"]) == ("content", "LIID0001", "CASE 1")
    assert loss == Loss(0, 1, "restart", T0, T0)


def test_a_header_record_is_refused() -> None:
    """A content encoder writes frames only."""
    encoder = handover.encoder("pcapng", info("content"))
    encoder.opening()
    batch = Batch.of(header(), [b""])
    selection = select(batch, abi.REC_HEADER)
    with pytest.raises(RefusedError, match="not of the kind"):
        list(encoder.encode(batch, selection))


@pytest.mark.parametrize("room", range(0, 400, 7))
def test_the_room_is_never_overrun(room: int) -> None:
    """Whatever the room, only whole blocks are written, and nothing behind it."""
    frames = [bytes(45)] * 3
    batch = Batch.of(numbered([packet(f) for f in frames]), frames)
    selection = select(batch, abi.REC_PACKET, Position())
    out = ffi.new("uint8_t[]", b"\xee" * 600)
    ids = ffi.new("int32_t[]", [-1] * 6 + [0, 1])
    done = ffi.new("uint32_t *")
    size = lib.ln_pcapng_packets(batch.c.recs, batch.c.data, selection.c, 0, b"LIID0001", ids, 8, out, room, done)
    assert 0 <= size <= room
    assert size == 128 * done[0]
    assert bytes(ffi.buffer(out, 600))[room:] == b"\xee" * (600 - room)
    assert lib.ln_pcapng_bound(45, 8) >= 128


@pytest.mark.parametrize("liid", ["", "with space", "back\\slash", "a" * 256, "é", "line\nbreak"])
def test_an_liid_that_no_format_could_carry_is_refused(liid: str) -> None:
    """It would break comments and lines."""
    with pytest.raises(UsageError):
        info("content", liid=liid)


def test_an_agencys_option_holds_for_its_orders_of_both_modes() -> None:
    """An option of content changes nothing of a headers stream."""
    for form, options in (("pcapng", {"link": "ethernet"}), ("text", {"encoding": "ascii"})):
        plain = handover.encoder(form, info("headers")).opening()
        assert handover.encoder(form, info("headers", options)).opening() == plain


def test_unknown_options_are_refused() -> None:
    """With the options there are."""
    with pytest.raises(UsageError, match="link"):
        handover.encoder("pcapng", info("content", {"snaplen": "96"}))
    with pytest.raises(UsageError, match="ethernet, raw"):
        handover.encoder("pcapng", info("content", {"link": "token-ring"}))
    with pytest.raises(UsageError, match="none"):
        handover.encoder("msgpack", info("headers", {"link": "raw"}))
    with pytest.raises(UsageError, match=r"Formats: .*msgpack.*pcapng.*text"):
        handover.encoder("pdf", info("headers"))
