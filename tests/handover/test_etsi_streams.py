# SPDX-License-Identifier: Apache-2.0
"""ETSI streams as a whole: numberings, losses, what cannot be carried, sealed payloads, the dialect of a connection."""

from __future__ import annotations

import io
import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from etsi_schema import FORM, KEYS, READER, pdus, read, schema
from handover_records import T0, TCP, UDP, encode_all, header, info, numbered, packet, select
from hypothesis import given, settings
from hypothesis import strategies as st

from lictl.delivery.config import StreamConfig
from lictl.errors import RefusedError, UsageError
from lictl.handover.base import Event, Gap
from lictl.handover.decode import decode
from lictl.handover.decode_etsi import EtsiFormat, WrongKeyError
from lictl.handover.decoded import DecodeError, Loss, Opening, Record
from lictl.handover.dialects import dialect
from lictl.handover.etsi_pdu import ACK_RESPONSE, KEEPALIVE_RESPONSE, Names, option_response, tri
from lictl.handover.etsi_seal import Sealer
from lictl.handover.etsi_state import State
from lictl.handover.native import BUFFER_BYTES
from lictl.handover.pdu import MAX_PDU, Answer
from lictl.handover.registry import encoder
from lictl.probe import abi
from lictl.probe.batch import Batch, Position
from lictl.probe.native import ffi

if TYPE_CHECKING:
    from lictl.handover.base import Encoded

NAMES = Names("LIID0001", "US", "OPER1", "probe01")
FRAME = bytes(14) + b"E" + bytes(45)
ARP = bytes(12) + b"\x08\x06" + bytes(28)
NO_IP = {"present": 0, "ip_version": 0, "parse": 10, "l3_len": 0}


def made(mode: Any, **options: str) -> Any:
    """An encoder with the agency's keys."""
    return encoder(FORM, info(mode, options, keys=KEYS))


def chunks(one: Any, recs: Any, frames: list[bytes] | None, position: Position) -> tuple[bytes, list[Encoded]]:
    """What an encoder makes of a batch; the chunks' payloads are gone."""
    batch = Batch.of(recs, frames or [b""] * len(recs))
    out, found = b"", []
    for part in one.encode(batch, select(batch, one.kind, position)):
        out += bytes(part.payload)
        found.append(part)
    return out, found


# ---- numberings


def test_reports_and_events_share_one_numbering_across_restarts() -> None:
    """IRI counts from 0 without a hole; a loss is a jump; what a restart repeats has the same numbers."""
    position, out, state = Position(), b"", b""
    for turn in range(3):
        one = made("headers")
        one.resume(state)
        assert one.opening() == b""
        out += one.event(Event("begin" if turn == 0 else "continue", T0))
        recs = np.concatenate([header(slot_seq=turn * 3 + 1), header(slot_seq=turn * 3 + 2)])
        out += chunks(one, recs, None, position)[0]
        state = one.state()
    numbers = [pdu.sequence for pdu in pdus(out) if pdu.kind == "iri"]
    assert numbers == [0, 1, 2, 3, 5, 6, 7, 9, 10]
    events = [pdu.event for pdu in pdus(out) if pdu.event]
    assert events == ["begin", "continue", "continue"]


def test_numbers_lost_with_a_disk_are_not_given_again() -> None:
    """Where the packets' numbers jump to a mark at a restart, so do all others; after a clean one none does."""
    for first, skipped in ((2, 0), (1001, 1 << 16)):
        one = made("content", integrity="sha256")
        out = one.event(Event("continue", T0)) + chunks(one, packet(FRAME), [FRAME], Position())[0]
        out += one.gap(Gap(0, first, "restart", T0, T0)) + one.event(Event("continue", T0))
        found = [(pdu.kind, pdu.sequence) for pdu in pdus(out)]
        assert found == [
            ("iri", 0), ("integrity", 0), ("cc", 0), ("integrity", 1), ("other", skipped),
            ("iri", 1 + skipped), ("integrity", 2 + skipped),
        ]  # fmt: skip


def test_the_beginning_and_the_end_are_marked() -> None:
    """cINReset and firstSegmentFlag stand before the begin, lastSegmentFlag is the last PDU of all."""
    one = made("content")
    out = one.event(Event("begin", T0, ("203.0.113.7",))) + one.event(Event("end", T0 + 1))
    messages = ["cINReset", "firstSegmentFlag", "IPIRI", "IPIRI", "lastSegmentFlag"]
    assert [pdu.message for pdu in pdus(out)] == messages
    assert [pdu.sequence for pdu in pdus(out)] == [0, 1, 0, 1, 2]
    one.resume(b"")
    assert [pdu.sequence for pdu in pdus(one.event(Event("begin", T0)))] == [0, 1, 0]


def test_an_event_never_holds_up_the_stream() -> None:
    """What is no address is left out; very many addresses still are one PDU that every receiver takes."""
    one = made("content")
    addresses = tuple(f"2001:db8:{i:x}::/48" for i in range(5000))
    out = one.event(Event("change", T0, ("fe80::1%eth0", "nonsense", "203.0.113.7")))
    out += one.event(Event("change", T0, addresses))
    first, second = pdus(out)
    assert b"nonsense" not in first.raw
    assert bytes.fromhex("cb007107") in first.raw
    assert 100_000 < len(second.raw) < MAX_PDU


def test_a_gap_is_an_operators_message_at_its_place() -> None:
    """With count, numbers as the PDUs have them, and reason; the reader gives it back."""
    one = made("headers")
    out = one.event(Event("begin", T0)) + chunks(one, header(), None, Position())[0]
    out += one.gap(Gap(5, 2, "quota", T0, T0 + 1))
    (message,) = [value for value in read(out) if value["payload"][1][0] == "operatorLeaMessage"]
    text = message["payload"][1][1]["message"]
    assert text.startswith(b"lictl gap of=iri lost=5 seq=2-6 reason=quota from=2026-03-01T12:00:00.123456789Z")
    assert [pdu.loss for pdu in pdus(out)][-1] == Loss(5, 2, "quota", T0, T0 + 1)
    longest = one.gap(Gap(2**63, 2**63, "restart", 2**62, 2**62))
    assert pdus(longest)[0].loss is not None


def test_items_of_a_file() -> None:
    """Opening, records with the losses before them, declared losses once."""
    one, position = made("content"), Position()
    out = one.event(Event("begin", T0)) + chunks(one, packet(FRAME, slot_seq=3), [FRAME], position)[0]
    out += one.gap(Gap(4, 4, "disk", T0, T0 + 1))
    position.next_sequence = 7
    out += chunks(one, packet(FRAME, slot_seq=4), [FRAME], position)[0]
    opening, first, loss, second = decode(FORM, io.BytesIO(out))
    assert opening == Opening("content", "LIID0001", {"cin": "1"})
    assert isinstance(first, Record)
    assert isinstance(second, Record)
    assert (first.sequence, first.lost_before, first.data, first.direction) == (2, 2, FRAME[14:], "from")
    assert loss == Loss(4, 3, "disk", T0, T0 + 1)
    assert (second.sequence, second.lost_before) == (7, 0)


# ---- what iPPackets cannot carry


def test_frames_without_ip_are_left_out_counted_and_told() -> None:
    """The account stays exact, the agency reads which numbers are missing and why."""
    one = made("content", integrity="sha256")
    frames = [FRAME, ARP, ARP, FRAME, ARP]
    recs = numbered([packet(f, **(NO_IP if f is ARP else TCP)) for f in frames])
    out, parts = chunks(one, recs, frames, Position())
    assert sum(part.records for part in parts) == 2
    assert sum(part.unfit for part in parts) == sum(part.lost for part in parts) == 3
    assert all(p.records + p.lost == p.last_sequence - p.first_sequence + 1 for p in parts)
    assert [pdu.sequence for pdu in pdus(out) if pdu.kind == "cc"] == [0, 3]
    losses = [pdu.loss for pdu in pdus(out) if pdu.loss]
    assert [(loss.lost, loss.first_sequence, loss.reason, loss.within) for loss in losses] == [(3, 1, "not-ip", 4)]
    items = [item for item in decode(FORM, io.BytesIO(out)) if isinstance(item, Record)]
    assert [item.lost_before for item in items] == [0, 2]


@pytest.mark.parametrize("mode", ["content", "headers"])
def test_one_message_a_chunk_whatever_the_order_of_frames(mode: Any) -> None:
    """Packets and other frames turn by turn, with losses of the kernel between: two messages, never one a frame."""
    frames = [FRAME, ARP] * 300
    recs = numbered([packet(f, **(NO_IP if f is ARP else TCP)) for f in frames])
    if mode == "headers":
        recs = numbered([header(**({"present": 0} if f is ARP else {})) for f in frames])
    recs["slot_seq"][10:] += 2
    recs["slot_seq"][500:] += 3
    out, (part,) = chunks(made(mode, integrity="sha256"), recs, frames if mode == "content" else None, Position())
    assert (part.records, part.lost, part.unfit) == (300, 305, 300)
    losses = [(loss.lost, loss.first_sequence, loss.within, loss.reason) for pdu in pdus(out) if (loss := pdu.loss)]
    assert losses == [(300, 1, 604, "not-ip"), (5, 10, 504, "kernel")]
    items = [item for item in decode(FORM, io.BytesIO(out)) if isinstance(item, Record)]
    assert sum(1 + item.lost_before for item in items) == 604


def test_only_frames_without_ip() -> None:
    """A batch of nothing but these is a chunk without records."""
    _, (part,) = chunks(made("content"), numbered([packet(ARP, **NO_IP)] * 3), [ARP] * 3, Position())
    assert (part.records, part.lost, part.unfit, part.first_sequence, part.last_sequence) == (0, 3, 3, 1, 3)


def test_more_than_a_buffer_is_several_chunks() -> None:
    """No packet is lost between them, whatever the options add."""
    frame = bytes(14) + b"E" + bytes(9000)
    for options in ({}, {"encryption": "aes-256-cbc", "integrity": "sha512", "signature": "ecdsa"}):
        out, parts = chunks(made("content", **options), numbered([packet(frame)] * 300), [frame] * 300, Position())
        assert len(parts) > 2
        assert sum(part.records for part in parts) == 300
        assert len(out) > 2 * BUFFER_BYTES
        found = [pdu for pdu in map(EtsiFormat(KEYS.payload_key).decode, (p.raw for p in pdus(out))) if pdu.record]
        assert [pdu.sequence for pdu in found] == list(range(300))


# ---- headers only


@given(data=st.data())
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("form", ["packet-report", "iri-only"])
def test_header_reports_never_touch_packet_memory(form: str, data: st.DataObject) -> None:
    """For any record, with lengths and pointers into tainted memory, the output is the same as without."""
    raw = data.draw(st.binary(min_size=abi.REC.itemsize, max_size=abi.REC.itemsize))
    recs = np.frombuffer(raw, abi.REC).copy()
    recs["kind"], recs["slot_seq"], recs["utc_ns"], recs["cap_len"] = abi.REC_HEADER, 1, T0, 0
    recs["cpu"] %= 4
    clean = chunks(made("headers", headers=form), recs, None, Position())[0]
    taint = b"\xde\xad\xbe\xef" * 100
    batch = Batch.of(recs, [b""])
    batch.recs["cap_len"][:1] = len(taint)
    batch.data[:1] = int(ffi.cast("uintptr_t", ffi.from_buffer(taint)))
    one = made("headers", headers=form)
    tainted = b"".join(bytes(p.payload) for p in one.encode(batch, select(batch, one.kind)))
    assert tainted == clean


def test_a_packet_record_is_refused_to_a_headers_stream() -> None:
    """Nothing of it is encoded."""
    batch = Batch.of(packet(FRAME), [FRAME])
    with pytest.raises(RefusedError):
        list(made("headers").encode(batch, select(batch, abi.REC_PACKET)))


# ---- names


@pytest.mark.parametrize(
    "changes", [{"liid": "x" * 26}, {"operator": "o" * 17}, {"operator": ""}, {"element": "e" * 17}, {"country": "USA"}]
)
def test_names_that_the_header_cannot_hold_are_refused(changes: dict[str, str]) -> None:
    """Before the first packet, and with what to change."""
    with pytest.raises(UsageError) as caught:
        encoder(FORM, info("content", **changes))
    assert caught.value.fix


# ---- sealed payloads


def test_sealed_payloads_open_with_the_key_alone() -> None:
    """By asn1tools and AES-256-CBC: counters never come twice, header and integrity checks stay readable."""
    frames = [bytes(14) + b"E" + bytes([i]) * (20 + i) for i in range(40)]
    sealed = encode_all(made("content", encryption="aes-256-cbc"), numbered([packet(f) for f in frames]), frames)[0]
    plain = encode_all(made("content"), numbered([packet(f) for f in frames]), frames)[0]
    counters = []
    for closed, opened in zip(read(sealed), read(plain), strict=True):
        assert closed["pSHeader"] == opened["pSHeader"]
        choice, container = closed["payload"]
        assert (choice, container["encryptionType"]) == ("encryptionContainer", "aES-256-CBC")
        vector = closed["pSHeader"]["sequenceNumber"].to_bytes(4) * 4
        decryptor = Cipher(AES(KEYS.payload_key), CBC(vector)).decryptor()
        text = decryptor.update(container["encryptedPayload"]) + decryptor.finalize()
        inner, used = schema().decode_with_length("EncryptedPayload", text)
        assert text[used:] == bytes(len(text) - used)
        assert len(text) - used < 16
        assert inner["payload"] == opened["payload"]
        counters.append(inner["byteCounter"])
    assert counters == sorted(set(counters))
    assert counters[0] == T0 // 10**9 << 32
    assert all(frame[15:] not in sealed for frame in frames)


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 9000), min_size=1, max_size=40), first=st.integers(1, 2**33))
def test_a_chunk_is_sealed_as_its_pdus_are(sizes: list[int], first: int) -> None:
    """All at once in C, or one after the other by the library's own CBC: the same octets."""
    frames = [bytes(14) + (b"E" + bytes(range(256)) * 36)[:size] for size in sizes]
    recs = numbered([packet(frame) for frame in frames])
    position, other = Position(), Position()
    position.next_sequence = other.next_sequence = first - 1
    sealed = chunks(made("content", encryption="aes-256-cbc"), recs, frames, position)[0]
    one, state = Sealer(KEYS.payload_key), State()
    plain = pdus(chunks(made("content"), recs, frames, other)[0])
    assert b"".join(one.seal(state, pdu.raw, pdu.sequence or 0, T0) for pdu in plain) == sealed


def test_the_byte_counter_goes_on_after_a_restart() -> None:
    """So no counter is used twice for one stream."""
    one = made("content", encryption="aes-256-cbc")
    first = chunks(one, packet(FRAME), [FRAME], Position())[0]
    other = made("content", encryption="aes-256-cbc")
    other.resume(one.state())
    second = chunks(other, packet(FRAME), [FRAME], Position())[0]
    assert first != second
    reader = EtsiFormat(KEYS.payload_key)
    assert reader.decode(first).record == reader.decode(second).record


def test_a_wrong_key_is_seen() -> None:
    """What does not open says so and stays closed; of several keys the one that fits is found."""
    raw = chunks(made("content", encryption="aes-256-cbc"), packet(FRAME), [FRAME], Position())[0]
    assert (READER.decode(raw).kind, READER.decode(raw).message) == ("sealed", "encryptionContainer")
    for keys in ((bytes(32),), (bytes(32), bytes([1]) * 32)):
        with pytest.raises(WrongKeyError, match="does not open") as refused:
            EtsiFormat(*keys).decode(raw)
        assert refused.value.closed == READER.decode(raw)
    assert EtsiFormat(bytes(32), KEYS.payload_key).decode(raw).kind == "cc"


# ---- liberal reading, bounded


def longer(raw: bytes, extra: int) -> bytes:
    """The PDU with its outermost length in a form that is longer than it need be."""
    begin = 2 + (raw[1] & 0x7F if raw[1] & 0x80 else 0)
    return b"\x30" + bytes([0x80 | extra]) + (len(raw) - begin).to_bytes(extra) + raw[begin:]


@pytest.mark.parametrize("extra", [1, 2, 3, 4, 8])
def test_lengths_may_be_longer_than_need_be(extra: int) -> None:
    """`82 00bb` and its like are valid BER, at every level."""
    raw = chunks(made("content"), packet(bytes(14) + b"E" + bytes(99)), [bytes(14) + b"E" + bytes(99)], Position())[0]
    other = longer(raw, extra) if extra > 1 else raw
    assert READER.length(memoryview(other)) == len(other)
    assert READER.decode(other).record == READER.decode(raw).record


def test_inner_lengths_may_be_longer_too() -> None:
    """A header with a long length inside a PDU with another."""
    raw = NAMES.pdu(7, T0, tri(KEEPALIVE_RESPONSE))
    inner = raw[4:] if raw[1] == 0x81 else raw[2:]
    wide = b"\xa1\x82\x00" + inner[1:]
    assert READER.decode(b"\x30\x82" + len(wide).to_bytes(2) + wide).message == "keep-aliveResponse"


@pytest.mark.parametrize(
    "data", [b"\x30\x80\xa1\x00\x00\x00", b"\x31\x02", b"\x30\x84" + (MAX_PDU + 1).to_bytes(4), b"\x30\x02\x02\x00"]
)
def test_what_is_no_pdu_is_refused_at_its_first_octets(data: bytes) -> None:
    """Indefinite lengths, other tags, more than anybody sends."""
    with pytest.raises(DecodeError):
        READER.length(memoryview(data))


GOOD = (
    chunks(made("content", integrity="sha256", signature="ecdsa"), packet(FRAME, **UDP), [FRAME], Position())[0],
    chunks(made("headers"), header(), None, Position())[0],
    chunks(made("headers", headers="iri-only"), header(ip_version=6, src="2001:db8::1", dst="::"), None, Position())[0],
    made("content").event(Event("begin", T0, ("203.0.113.0/24", "2001:db8::/32", "192.0.2.1"))),
    made("content").gap(Gap(2, 5, "quota", T0, T0)),
)  # fmt: skip


@settings(max_examples=250, deadline=None)
@given(which=st.sampled_from(GOOD), data=st.data())
def test_damaged_pdus(which: bytes, data: st.DataObject) -> None:
    """Octets changed, removed, inserted: a PDU or a DecodeError, never anything else."""
    raw = bytearray(which)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    for reader in (READER, EtsiFormat(KEYS.payload_key)):
        try:
            size = reader.length(memoryview(bytes(raw)))
            reader.decode(bytes(raw[:size]))
        except DecodeError:
            pass


# ---- the connection


def connection(**options: str) -> Any:
    """A connection's dialect."""
    config = StreamConfig("s", "LIID0001", FORM, "etsi", "content", "OPER1", "probe01", country="US", options=options)
    return dialect(config)


def test_keepalives_count_by_themselves() -> None:
    """CIN 0, numbers from 0, one after the other."""
    one = connection()
    assert one.connected() == b""
    said = pdus(one.keepalive() + one.test() + one.keepalive())
    assert [(pdu.message, pdu.stream, pdu.sequence) for pdu in said] == [
        ("keep-alive", "0", 0), ("testPDU", "0", 1), ("keep-alive", "0", 2),
    ]  # fmt: skip
    assert one.response_s > 0
    assert one.keepalive_s > 0


@given(cuts=st.lists(st.integers(0, 400), max_size=5))
def test_answers_come_in_pieces(cuts: list[int]) -> None:
    """Responses and acknowledgements are heard however they are cut; all else is passed over."""
    one = connection(acknowledgement="request")
    assert pdus(one.connected())[0].message == "optionRequest"
    data = b"".join(
        NAMES.pdu(number, T0, payload, 0)
        for number, payload in enumerate(
            (tri(KEEPALIVE_RESPONSE), option_response(True), tri(ACK_RESPONSE), tri(ACK_RESPONSE))
        )
    )
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    heard = [answer for a, b in itertools.pairwise(edges) for answer in one.received(data[a:b])]
    assert heard == [Answer(alive=True), Answer(acknowledged=1), Answer(acknowledged=2)]


def test_an_agency_that_speaks_something_else_is_told_apart() -> None:
    """HTTP is no PS-PDU."""
    with pytest.raises(DecodeError):
        connection().received(b"HTTP/1.1 400 Bad Request\r\n")


def test_acknowledgements_are_asked_for_behind_each_chunk() -> None:
    """Where the agency's options say so."""
    out = chunks(made("content", acknowledgement="request"), packet(FRAME), [FRAME], Position())[0]
    assert [pdu.message for pdu in pdus(out)] == ["IPCC", "pDUAcknowledgementRequest"]
