# SPDX-License-Identifier: Apache-2.0
"""The sample agency on bare connections: PDUs in any pieces, answers, repetitions, gaps, checks, limits."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import subprocess
import sys
import tracemalloc
from typing import TYPE_CHECKING, Any

import bounded
import pytest
from delivery_kit import wait_for
from handover_records import header, info, numbered, packet, select
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pdu_kit import ETSI, KEYS, PACKET, Line, Operator, event, ipcc, long_form, names, report, sealed

from lictl.collection.evidence_store import EvidenceStore
from lictl.collection.framed import stream_reader
from lictl.collection.integrity import Verifier
from lictl.collection.listening import Listen
from lictl.collection.numbers import RECENT
from lictl.collection.reading import read
from lictl.collection.receiver import Limits, Receiver
from lictl.errors import UsageError
from lictl.handover.base import Event, Gap
from lictl.handover.etsi_pdu import ACK_REQUEST, KEEPALIVE, SESSION, TEST, option_request, tlv, tri
from lictl.handover.pdu import MAX_PDU, split
from lictl.handover.registry import encoder
from lictl.probe.batch import Batch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lictl.collection.verdict import EvidenceVerdict
    from lictl.handover.base import Mode
    from lictl.handover.pdu import PduFormat

LOCAL = ("127.0.0.1", 0)
TIME = 1_772_366_400_123_456_000


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    """A running receiver in a folder of its own."""
    with Receiver(LOCAL, tmp_path / "r").start() as running:
        yield running


def only(receiver: Receiver) -> EvidenceVerdict:
    """The verdict on the only LIID."""
    (verdict,) = receiver.verdict().evidence
    return verdict


def taken(receiver: Receiver, pdus: int) -> EvidenceVerdict:
    """The same, once so many PDUs were taken or dropped as repetitions."""
    wait_for(lambda: sum(b.pdus + b.duplicates for b in (f.books for f in receiver.evidence.files.values())) >= pdus)
    return only(receiver)


def test_pdus_in_pieces_of_one_octet(receiver: Receiver) -> None:
    """Wherever a stream is cut, the PDUs are kept octet for octet, and the packets stand in a pcapng."""
    pdus = [ipcc(0), long_form(ipcc(1)), ipcc(2)]
    with Line(receiver.address) as line:
        for octet in b"".join(pdus):
            line.send(bytes([octet]))
        verdict = taken(receiver, 3)
    assert (verdict.ok, verdict.liid, verdict.format, verdict.content) == (True, "LIID0001", "etsi-102232", 3)
    raw, pcapng = (receiver.folder / file.name for file in verdict.files)
    assert raw.name == "LIID0001.etsi-102232"
    assert raw.read_bytes() == b"".join(pdus)
    assert pcapng.read_bytes().count(PACKET) == 3


def test_answers(receiver: Receiver) -> None:
    """A keep-alive and an offered option are answered at once, a request for acknowledgement once all is on disk."""
    with Line(receiver.address) as line:
        line.send(names().pdu(7, 0, tri(KEEPALIVE), SESSION))
        answer = ETSI.decode(line.answer())
        assert (answer.message, answer.sequence, answer.stream) == ("keep-aliveResponse", 7, "0")
        line.send(names().pdu(8, 0, option_request(), SESSION))
        answer = ETSI.decode(line.answer())
        assert (answer.message, answer.sequence) == ("optionResponse", 8)
        line.send(ipcc(0) + names().pdu(9, 0, tri(ACK_REQUEST), SESSION))
        answer = ETSI.decode(line.answer())
        assert (answer.message, answer.sequence) == ("pDUAcknowledgementResponse", 9)
        (evidence,) = receiver.evidence.files.values()
        assert evidence.durable == len(ipcc(0))
        line.send(names().pdu(10, 0, tri(TEST), SESSION) + names().pdu(11, 0, tri(KEEPALIVE), SESSION))
        line.answer()
    assert receiver.evidence.tests == 1
    assert only(receiver).pdus == 1


def test_repetitions_after_a_reconnect(receiver: Receiver) -> None:
    """PDUs that come again are dropped and counted; what was missing before fills its gap, in whatever order."""
    with Line(receiver.address) as line:
        line.send(ipcc(0) + ipcc(1) + ipcc(4))
        verdict = taken(receiver, 3)
        assert (verdict.ok, verdict.missing, verdict.gaps) == (False, 2, 1)
    with Line(receiver.address) as line:
        line.send(b"".join(map(ipcc, (1, 4, 3, 2, 5))))
        verdict = taken(receiver, 8)
    assert (verdict.ok, verdict.pdus, verdict.duplicates, verdict.missing) == (True, 6, 2, 0)


def test_another_pdu_with_a_number_that_is_taken(receiver: Receiver) -> None:
    """It is kept, as nobody knows which of both is right, and the verdict says so."""
    with Line(receiver.address) as line:
        line.send(ipcc(0) + ipcc(0, packet=PACKET + b"x"))
        verdict = taken(receiver, 2)
    assert (verdict.ok, verdict.pdus, verdict.conflicts, verdict.duplicates) == (False, 2, 1, 0)


def test_reset_in_the_middle_of_a_pdu(receiver: Receiver) -> None:
    """The half is forgotten, the resend completes it, nothing is doubled."""
    with Line(receiver.address) as line:
        line.send(ipcc(0) + ipcc(1)[:50])
        taken(receiver, 1)
        line.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_for(lambda: not receiver.progress().connections)
    with Line(receiver.address) as line:
        line.send(ipcc(0) + ipcc(1))
        verdict = taken(receiver, 3)
    assert (verdict.ok, verdict.pdus, verdict.duplicates) == (True, 2, 1)


def test_many_connections_of_many_warrants(receiver: Receiver) -> None:
    """Each LIID's PDUs come together, whichever connection they came on."""
    lines = [Line(receiver.address) for _ in range(40)]
    for number, line in enumerate(lines):
        line.send(ipcc(number // 4, f"LIID{number % 4}"))
    wait_for(lambda: receiver.progress().records == 40)
    verdict = receiver.verdict()
    assert [(e.liid, e.pdus, e.ok) for e in verdict.evidence] == [(f"LIID{i}", 10, True) for i in range(4)]
    for line in lines:
        line.sock.close()


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x30\x84\x7f\xff\xff\xff\xa1",  # 2 GiB
        b"\x30\x80\xa1\x80",  # indefinite
        b"GET / HTTP/1.1\r\n\r\n" * 4,
        bytes(64),
        b"\x00\x05\x00\x02" + b"\xff" * 60,
        b"\x30\x82\x00\xbb\xa1" + b"\xff" * 300,
    ],
)
def test_garbage_ends_its_connection_only(receiver: Receiver, garbage: bytes) -> None:
    """Impossible octets are refused, or kept as unreadable where their length is sound; others go on."""
    with Line(receiver.address) as honest, Line(receiver.address) as line:
        honest.send(ipcc(0))
        line.send(garbage)
        with contextlib.suppress(OSError):  # it may have hung up by now
            line.sock.shutdown(socket.SHUT_WR)
        assert line.hung_up()
        honest.send(ipcc(1) + names().pdu(0, 0, tri(KEEPALIVE), SESSION))
        honest.answer()
    verdicts = {verdict.liid: verdict for verdict in receiver.verdict().evidence}
    assert verdicts["LIID0001"].pdus == 2
    unreadable = sum(verdict.unreadable for verdict in verdicts.values())
    assert receiver.refused["protocol error"] + unreadable >= 1


def test_a_field_longer_than_any_header_has_is_kept_unread(receiver: Receiver) -> None:
    """A number of thousands of digits, which Python does not write out, ends nothing: neither line nor receiver."""
    with Line(receiver.address) as line:
        line.send(report(0, b"\xff" * 3000) + report(1) + names().pdu(0, 0, tri(KEEPALIVE), SESSION))
        line.answer()
    verdicts = receiver.verdict().evidence
    assert [sum(found) for found in zip(*((v.pdus, v.unreadable) for v in verdicts), strict=True)] == [1, 1]


def test_a_defect_found_by_one_sender_is_no_other_senders(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its connection ends and the verdict names the class of it; an honest connection goes on."""
    take = EvidenceStore.take

    def broken(store: EvidenceStore, format_: PduFormat, raw: bytes, port: int) -> Any:
        return 1 // 0 if b"BROKEN" in raw else take(store, format_, raw, port)

    monkeypatch.setattr(EvidenceStore, "take", broken)
    with Line(receiver.address) as honest, Line(receiver.address) as line:
        line.send(ipcc(0, "BROKEN"))
        assert line.hung_up()
        honest.send(ipcc(0) + names().pdu(0, 0, tri(KEEPALIVE), SESSION))
        honest.answer()
    assert receiver.verdict().refused == {"defect of lictl: ZeroDivisionError": 1}


def test_memory_of_a_connection_is_bounded(receiver: Receiver) -> None:
    """The largest PDU is taken; more than one of it and a read is never held; a larger one is refused."""
    large = ipcc(0, packet=b"E" + bytes(MAX_PDU - 400))
    with Line(receiver.address) as line:
        for start in range(0, len(large), 30_000):
            line.send(large[start : start + 30_000])
            assert receiver.memory <= MAX_PDU + (1 << 16)
        assert taken(receiver, 1).content == 1
        line.send(ipcc(1))
        taken(receiver, 2)
        line.send(ipcc(2, packet=bytes(MAX_PDU)))
        assert line.hung_up()
    assert receiver.refused["protocol error"] == 1
    wait_for(lambda: receiver.memory == 0)


def test_state_survives_and_the_uncommitted_is_cut(tmp_path: Path) -> None:
    """Another receiver goes on from the books; octets behind them, of a crash, are taken away and come again."""
    with Receiver(LOCAL, tmp_path / "r").start() as receiver, Line(receiver.address) as line:
        line.send(ipcc(0) + ipcc(1))
        taken(receiver, 2)
    raw = tmp_path / "r" / "LIID0001.etsi-102232"
    with raw.open("ab") as file:
        file.write(ipcc(2)[:40])
    with Receiver(LOCAL, tmp_path / "r").start() as receiver, Line(receiver.address) as line:
        line.send(ipcc(1) + ipcc(2))
        verdict = taken(receiver, 4)
    assert (verdict.ok, verdict.pdus, verdict.duplicates) == (True, 3, 1)
    assert split(ETSI, raw.read_bytes()) == [ipcc(0), ipcc(1), ipcc(2)]


@pytest.mark.parametrize("signature", ["eddsa", "ecdsa"])
def test_checks_are_recomputed(tmp_path: Path, signature: str) -> None:
    """Digests and signatures hold over the octets as they came; a changed packet, or another key, does not pass."""
    operator = Operator(signature=signature)
    key = tmp_path / "key.pem"
    key.write_bytes(KEYS.eddsa_pem if signature == "eddsa" else KEYS.ecdsa_pem)
    data = operator.checked([ipcc(0), ipcc(1)], 0) + operator.checked([ipcc(2)], 2) + operator.signed()
    verifier = Verifier((key,))
    for name, sent, good in (("good", data, True), ("bad", data.replace(PACKET, PACKET[:-1] + b"\1", 1), False)):
        with Receiver(LOCAL, tmp_path / name, verifier=verifier).start() as receiver, Line(receiver.address) as line:
            line.send(sent)
            verdict = taken(receiver, 6)
        assert verdict.ok is good
        assert verdict.digests == ({"good": 2} if good else {"bad": 1, "good": 1})
        assert verdict.signatures == {"good": 1}
    forged = bytearray(data)
    forged[-10] ^= 1
    with Receiver(LOCAL, tmp_path / "forged", verifier=verifier).start() as receiver, Line(receiver.address) as line:
        line.send(bytes(forged))
        verdict = taken(receiver, 6)
    assert (verdict.ok, verdict.signatures) == (False, {"bad": 1})


def test_checks_that_cannot_be_judged(receiver: Receiver) -> None:
    """Without a key, or where a PDU is missing, a check stays open: it is no proof, and no fault of its own."""
    operator = Operator()
    data = operator.checked([ipcc(0), ipcc(1)], 0) + operator.signed()
    with Line(receiver.address) as line:
        line.send(data.replace(ipcc(1), b""))
        verdict = taken(receiver, 3)
    assert (verdict.digests, verdict.signatures) == ({"open": 1}, {"open": 1})


def test_a_check_costs_no_more_than_what_it_covers(tmp_path: Path) -> None:
    """One PDU named a thousand times, and more octets than any honest check covers, are read by nobody."""
    store = EvidenceStore(tmp_path, 4)
    large = [ipcc(number, packet=PACKET + bytes(200_000)) for number in range(90)]
    one = b"".join([tlv(2, b"\0")] * 1000)
    all_ = b"".join(tlv(2, bytes([number])) for number in range(90))
    for raw in large:
        store.take(ETSI, raw, 1)
    (evidence,) = store.files.values()
    tracemalloc.start()
    for turn, numbers in enumerate((one, all_)):
        check = tlv(0xA0, numbers) + tlv(0x81, b"\1") + tlv(0x82, b"\2") + tlv(0x83, bytes(32)) + tlv(0x84, b"\2")
        store.take(ETSI, names().pdu(turn, TIME, tlv(0xA2, tlv(0xA0, check))), 1)
        assert evidence.books.digests == {"open": turn + 1}
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    store.close()
    assert most < 64 << 20


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_a_sender_s_text_is_no_formula_and_steers_no_terminal(tmp_path: Path, start: str) -> None:
    """What a sender may choose freely stands as text in the CSV, and as plain ASCII in the JSON lines."""
    one = encoder("atis-1000013", info("headers"))
    one.opening()
    records = numbered([header()])
    batch = Batch.of(records, [b""])
    (part,) = one.encode(batch, select(batch, one.kind))
    liid = info("headers").liid.encode()
    text = f"{start}cmd()\x1b\x9b".encode().ljust(len(liid), b"x")[: len(liid)]
    store = EvidenceStore(tmp_path, 4)
    store.take(stream_reader("atis-1000013"), bytes(part.payload).replace(liid, text), 1)
    (evidence,) = store.files.values()
    evidence.flush()
    store.close()
    csv_, json_ = ((tmp_path / f"{evidence.name}{end}").read_text() for end in (".csv", ".jsonl"))
    assert f",'{start}cmd" in csv_
    assert f",{start}cmd" not in csv_
    assert all(char.isprintable() or char == "\n" for char in csv_ + json_)


@pytest.mark.parametrize("mode", ["content", "headers"])
@pytest.mark.parametrize("form", sorted({"atis-1000013", "etsi-102232", "etsi-103221-2"}))
def test_streams_of_the_real_encoders(tmp_path: Path, form: str, mode: Mode) -> None:
    """Events, records, a loss and checks as lictl sends them, and all again: complete, explained, nothing doubled."""
    options = {"integrity": "sha256", "signature": "eddsa", "acknowledgement": "request"} if form == ETSI.name else {}
    names_ = info(mode, options, keys=KEYS, uuid="29f28e1c-f230-486a-a860-f5a784ab9177")
    one = encoder(form, names_)
    data = one.opening() + one.event(Event("begin", TIME, ("203.0.113.7",)))
    records = numbered([packet(bytes(14) + PACKET) if mode == "content" else header() for _ in range(20)])
    batch = Batch.of(records, [bytes(14) + PACKET if mode == "content" else b""] * 20)
    for part in one.encode(batch, select(batch, one.kind)):
        data += bytes(part.payload)
    data += one.gap(Gap(7, 21, "ring", TIME, TIME)) + one.event(Event("continue", TIME, ("203.0.113.7",)))
    store = EvidenceStore(tmp_path, 4)
    pdus = split(stream_reader(form), data) * 2
    for raw in pdus:
        store.take(stream_reader(form), raw, 1)
    (evidence,) = store.files.values()
    books = evidence.books
    assert (books.ok, books.missing, books.conflicts, books.unreadable) == (True, 0, 0, 0)
    assert books.pdus == books.duplicates
    assert (books.cc, books.iri - books.events) == ((20, 0) if mode == "content" else (0, 20))
    assert set(books.digests) <= {"good"}
    store.close()


def test_a_file_that_is_no_key(tmp_path: Path) -> None:
    """It is said before anything is received."""
    (tmp_path / "key.pem").write_text("no key")
    with pytest.raises(UsageError, match="no public key"):
        Verifier((tmp_path / "key.pem",))


def test_datagrams(tmp_path: Path) -> None:
    """Each datagram is one PDU; what is none is counted and harms nothing."""
    with Receiver([], tmp_path / "r", udp=[Listen(LOCAL)]).start() as receiver:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for data in (ipcc(0), b"", b"garbage", ipcc(1)[:-1], ipcc(1), ipcc(1) + ipcc(2)):
                sock.sendto(data, receiver.address)
            verdict = taken(receiver, 2)
        assert (verdict.ok, verdict.pdus) == (True, 2)
        wait_for(lambda: receiver.refused["bad datagram"] == 4)


TZSP = bytes.fromhex("0100000101") + bytes(12) + b"\x08\x00" + PACKET
CCC = bytes.fromhex("00000065") + bytes.fromhex("ed3b2d4000000000") + PACKET


def test_formats_that_are_datagrams_only(tmp_path: Path) -> None:
    """TZSP and, where its port names it, CCC: kept behind their lengths, as `lictl decode` reads them."""
    ports = [Listen(LOCAL), Listen(LOCAL, "ccc")]
    with Receiver([], tmp_path / "r", udp=ports).start() as receiver:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            for data, port in zip((TZSP, CCC), receiver.addresses, strict=True):
                sock.sendto(data, port)
                sock.sendto(data, port)
        wait_for(lambda: receiver.progress().records == 4)
        by_format = {verdict.format: verdict for verdict in receiver.verdict().evidence}
    assert by_format["ccc"].liid == "101"
    for name, datagram in (("tzsp", TZSP), ("ccc", CCC)):
        verdict = by_format[name]
        assert (verdict.ok, verdict.content) == (True, 2)
        raw, pcapng = (tmp_path / "r" / file.name for file in verdict.files)
        assert raw.read_bytes() == (len(datagram).to_bytes(4) + datagram) * 2
        assert pcapng.read_bytes().count(PACKET) == 2
        with raw.open("rb") as file:
            assert [pdu.raw for pdu in read(file)] == [datagram] * 2


X3 = bytes.fromhex(
    "000500020000003c0000001c0005000329f28e1cf230486aa860f5a784ab9177000000000000000100080004000000000009000867c2f6c000000000"
)


def test_x3_and_its_keep_alive(receiver: Receiver) -> None:
    """Content of TS 103 221-2 goes to the file of its XID; a keep-alive is acknowledged."""
    keepalive = bytes.fromhex("0005000300000028") + bytes(32)
    with Line(receiver.address) as line:
        line.send(X3 + PACKET + keepalive)
        answer = b""
        while len(answer) < 40:
            answer += line.sock.recv(40)
        verdict = taken(receiver, 1)
    assert answer == b"\0\5\0\4" + keepalive[4:]
    assert (verdict.ok, verdict.liid, verdict.content) == (True, "29f28e1c-f230-486a-a860-f5a784ab9177", 1)


def test_reports_and_events_as_csv_and_json(receiver: Receiver) -> None:
    """An event stands in the JSON lines with all its fields; nothing of it is in a pcapng."""
    with Line(receiver.address) as line:
        line.send(event(0))
        verdict = taken(receiver, 1)
    assert {file.name.rpartition(".")[2] for file in verdict.files} == {"etsi-102232", "jsonl"}
    (text,) = (receiver.folder / "LIID0001.etsi-102232.jsonl").read_text().splitlines()
    said = json.loads(text)
    assert (said["kind"], said["event"], said["time"]) == ("iri", "begin", "2026-03-01T12:00:00.123456000Z")
    assert said["fields"]


SEALED = sealed([(0, event(0)), (0, ipcc(0)), (1, ipcc(1)), (1, event(1))])


def test_sealed_payloads_are_opened_with_the_key(tmp_path: Path) -> None:
    """Packets, events, numbers and digests as of an open stream; the evidence stays sealed as it came."""
    keys = (bytes(32), KEYS.payload_key)
    with Receiver(LOCAL, tmp_path / "r", payload_keys=keys).start() as receiver, Line(receiver.address) as line:
        line.send(Operator().checked([SEALED[1], SEALED[2]], 0) + SEALED[0] + SEALED[3])
        line.send(SEALED[2])
        verdict = taken(receiver, 6)
    assert (verdict.ok, verdict.content, verdict.events, verdict.duplicates) == (True, 2, 2, 1)
    assert (verdict.sealed, verdict.unopened, verdict.digests) == (0, 0, {"good": 1})
    raw, pcapng, jsonl = (tmp_path / "r" / file.name for file in verdict.files)
    assert raw.read_bytes().count(PACKET) == 0
    assert SEALED[1] + SEALED[2] in raw.read_bytes()
    assert pcapng.read_bytes().count(PACKET) == 2
    assert jsonl.read_text().count('"event": "begin"') == 2


@pytest.mark.parametrize("keys", [(), (bytes(32),)])
def test_sealed_payloads_that_stay_closed(tmp_path: Path, keys: tuple[bytes, ...]) -> None:
    """Without a key, or with a wrong one, every PDU is kept once: content and IRI, which may have one number.

    Nobody can tell what is missing, so nothing is called so; a key that does not fit is no good verdict.
    """
    with Receiver(LOCAL, tmp_path / "r", payload_keys=keys).start() as receiver, Line(receiver.address) as line:
        line.send(b"".join(SEALED) + SEALED[0] + SEALED[3] + SEALED[1])
        verdict = taken(receiver, 7)
    assert (verdict.pdus, verdict.duplicates, verdict.conflicts, verdict.missing) == (4, 3, 0, 0)
    assert (verdict.ok, verdict.sealed, verdict.unopened) == (not keys, 4, 4 if keys else 0)
    (raw,) = verdict.files
    assert (tmp_path / "r" / raw.name).read_bytes() == b"".join(SEALED)


def test_a_wrong_key_is_told_while_it_receives(tmp_path: Path) -> None:
    """By a word as soon as it shows, and at the end by exit code 5 and what to do."""
    key = tmp_path / "key"
    key.write_text("5a" * 32)
    arguments = ("--listen", "127.0.0.1:0", "--into", str(tmp_path / "r"), "--payload-key", str(key))
    command = [sys.executable, "-m", "lictl", "receive", *arguments]
    with bounded.running(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as receiving:
        port = int(bounded.line(receiving.stderr).split()[4].rstrip(","))
        with Line(("127.0.0.1", port)) as line:
            line.send(SEALED[0])
            assert "does not open" in bounded.line(receiving.stderr)
        receiving.terminate()
        _, told = receiving.communicate(timeout=bounded.PATIENCE_S)
        assert "agency keys" in told
    assert receiving.returncode == 5


def test_an_event_long_behind_the_content_with_its_number(tmp_path: Path) -> None:
    """Closed, it is kept, though what came with that number before is not remembered any more."""
    store = EvidenceStore(tmp_path, 8)
    many = sealed([(number, ipcc(number)) for number in range(RECENT + 8)])
    (last,) = sealed([(2, event(2))])
    for raw in (*many, last, last):
        store.take(ETSI, raw, 1)
    (evidence,) = store.files.values()
    assert (evidence.books.pdus, evidence.books.duplicates) == (len(many) + 1, 1)
    store.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """One receiver for many attacks."""
    folder = tmp_path_factory.mktemp("fuzz") / "r"
    with Receiver(LOCAL, folder, limits=Limits(streams=64)).start() as receiver:
        yield receiver


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.integers(0, 120), st.booleans())
def test_damaged_pdus_do_no_harm(running: Receiver, noise: bytes, at: int, behind: bool) -> None:
    """Whatever stands in place of or behind good octets: the receiver answers the next, in bounded memory."""
    good = ipcc(0)
    with Line(running.address) as line, contextlib.suppress(OSError):
        line.send(good + noise if behind else good[:at] + noise + good[at + len(noise) :])
        line.sock.shutdown(socket.SHUT_WR)
        line.hung_up()
    with Line(running.address) as line:
        line.send(names().pdu(0, 0, tri(KEEPALIVE), SESSION))
        assert ETSI.decode(line.answer()).message == "keep-aliveResponse"
    assert running.memory <= 4 * (MAX_PDU + (1 << 16))
