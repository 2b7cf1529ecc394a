# SPDX-License-Identifier: Apache-2.0
"""Delivery in a format's own protocol over real sockets: raw TCP, TLS, UDP; faults lose nothing and change no order."""

from __future__ import annotations

import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from agency_kit import OddAgency
from authority_kit import Authority
from delivery_kit import KEY, Agency, wait_for

from lictl.collection.listening import Listen, server_context
from lictl.collection.receiver import Receiver
from lictl.delivery.blocks import BlockKind
from lictl.delivery.config import LinkState, StreamConfig, Transport, WorkerOptions
from lictl.delivery.spool import Spool
from lictl.delivery.supervisor import AgencyWorker
from lictl.handover.base import Event
from lictl.handover.pdu import split
from lictl.handover.readers import PDU_FORMATS
from lictl.handover.registry import encoder
from lictl.probe.batch import Batch, Position

sys.path.append(str(Path(__file__).parent.parent / "handover"))
from handover_records import T0, header, info, numbered, packet, select

if TYPE_CHECKING:
    from collections.abc import Iterator

FAST = WorkerOptions(backoff_min_s=0.05, backoff_max_s=0.2, settle_s=0.2, connect_s=3.0)
UUID = "29f28e1c-f230-486a-a860-f5a784ab9177"


class Order:
    """One order's stream: real PDUs in a spool."""

    def __init__(self, root: Path, format_: str, mode: Any = "content", **options: str) -> None:
        self.encoder = encoder(format_, info(mode, options, uuid=UUID, case_id="CASE1"))
        self.encoder.resume(b"")
        self.spool = Spool.open(root / "W-1", 64 << 20, key=KEY)
        self.mode = mode
        self.sent = 0
        self.octets = 0
        self._position = Position()
        self._mark(BlockKind.OPEN, self.encoder.opening())
        self.config = StreamConfig(
            "W-1", "LIID0001", format_, self.encoder.suffix, mode, "OPER1", "probe01", KEY, "US", self.encoder.framing,
            options,
        )  # fmt: skip

    def _mark(self, kind: BlockKind, payload: bytes) -> None:
        self.octets += len(payload)
        self.spool.append(
            kind, payload, records=0, first_sequence=0, last_sequence=0, lost=0, first_ns=0, last_ns=0, position=b""
        )

    def event(self, kind: Any) -> None:
        """Tells one."""
        self._mark(BlockKind.EVENT, self.encoder.event(Event(kind, T0, ("203.0.113.7",), T0, T0 + 10**12)))

    def end(self) -> None:
        """Nothing comes behind it."""
        self._mark(BlockKind.END, b"")

    def write(self, count: int, size: int = 100) -> None:
        """Spools so many packets, or header reports of them."""
        frame = bytes(14) + b"\x45" + bytes(size - 1)
        one = packet(frame, l3_len=size) if self.mode == "content" else header()
        recs = numbered([one] * count)
        recs["slot_seq"] += self.sent
        frames = [frame if self.mode == "content" else b""] * count
        selection = select(Batch.of(recs, frames), self.encoder.kind, self._position)
        for encoded in self.encoder.encode(Batch.of(recs, frames), selection):
            self.octets += len(encoded.payload)
            self.spool.append(
                BlockKind.DATA, encoded.payload, records=encoded.records, first_sequence=encoded.first_sequence,
                last_sequence=encoded.last_sequence, lost=encoded.lost, first_ns=encoded.first_ns,
                last_ns=encoded.last_ns, position=b"",
            )  # fmt: skip
        self.sent += count

    @property
    def delivered(self) -> bool:
        """Every block counts as delivered."""
        return self.spool.acknowledged == self.spool.last_block


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The agency's folder in the spool."""
    folder = tmp_path / "spool"
    folder.mkdir()
    return folder


@pytest.fixture
def workers() -> Iterator[list[AgencyWorker]]:
    """Ends every worker that a test started."""
    started: list[AgencyWorker] = []
    yield started
    for worker in started:
        worker.stop()


def start(
    workers: list[AgencyWorker], root: Path, port: int, order: Order, transport: Transport, **options: Any
) -> AgencyWorker:
    """A worker for the agency on a local port."""
    worker = AgencyWorker(
        Agency("lea", "127.0.0.1", port), root, [order.config], options=replace(FAST, **options), transport=transport
    )
    worker.start()
    workers.append(worker)
    return worker


def link(worker: AgencyWorker) -> LinkState:
    """State of the stream, a blank one before the first report."""
    return worker.state().streams.get("W-1", LinkState("W-1"))


def numbers(format_: str, data: bytes, kind: str = "cc") -> list[int | None]:
    """Sequence numbers of the PDUs of one kind."""
    reader = PDU_FORMATS[format_]
    return [pdu.sequence for pdu in map(reader.decode, split(reader, data)) if pdu.kind == kind]


FORMATS = ["etsi-102232", "atis-1000013", "etsi-103221-2"]


@pytest.mark.parametrize("format_", FORMATS)
def test_everything_arrives_by_tcp(tmp_path: Path, root: Path, workers: list[AgencyWorker], format_: str) -> None:
    """What was there before, what comes later, events and the end; the receiver's verdict is good."""
    order = Order(root, format_)
    order.event("begin")
    order.write(500)
    with Receiver(("127.0.0.1", 0), tmp_path / "r").start() as receiver:
        worker = start(workers, root, receiver.address[1], order, Transport("tcp"))
        for _ in range(5):
            order.write(100)
            worker.wake("W-1")
        order.event("end")
        order.end()
        worker.wake()
        wait_for(lambda: order.delivered, what="for delivery")
        wait_for(lambda: link(worker).phase == "done")
        verdict = receiver.write_verdict()
    assert verdict.ok
    (file,) = [path for path in (tmp_path / "r").iterdir() if path.name.endswith(format_)]
    found = numbers(format_, file.read_bytes())
    assert found == list(range(found[0] or 0, (found[0] or 0) + 1000))
    order.spool.close()


def test_a_reset_inside_a_pdu_loses_nothing(root: Path, workers: list[AgencyWorker]) -> None:
    """The agency dies twice in the middle of a PDU: what it did not keep comes again, same numbers, in order."""
    order = Order(root, "etsi-102232")
    order.write(3000, 500)
    order.end()
    seen: list[int | None] = []
    with OddAgency() as agency:
        worker = start(workers, root, agency.port, order, Transport("tcp"))
        for _ in range(2):
            agency.accept(receive_buffer=8192)
            assert agency.sock is not None
            got = b""
            while len(got) < 100_001:
                got += agency.sock.recv(100_001 - len(got))
            agency.reset()
            assert not order.delivered
        agency.accept()
        assert agency.sock is not None
        data = b""
        while len(data) < order.octets and (piece := agency.sock.recv(1 << 20)):
            data += piece
            if len(data) >= order.octets:
                break
        wait_for(lambda: order.delivered, what="for delivery")
        wait_for(lambda: link(worker).phase == "done")
        seen = numbers("etsi-102232", data)
    assert seen == list(range(3000))
    order.spool.close()


def test_an_absent_agency_gets_all_of_it_later(tmp_path: Path, root: Path, workers: list[AgencyWorker]) -> None:
    """An hour of packets, time-compressed, waits in the spool; then it arrives in order."""
    order = Order(root, "atis-1000013")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    worker = start(workers, root, port, order, Transport("tcp"))
    for _ in range(60):
        order.write(60)
        worker.wake("W-1")
    wait_for(lambda: "refused" in link(worker).error.lower(), what="for a refusal")
    order.end()
    with Receiver(("127.0.0.1", port), tmp_path / "r").start() as receiver:
        wait_for(lambda: order.delivered, what="for delivery")
        verdict = receiver.write_verdict()
    assert verdict.ok
    (file,) = [path for path in (tmp_path / "r").iterdir() if path.name.endswith("atis-1000013")]
    assert numbers("atis-1000013", file.read_bytes()) == list(range(1, 3601))
    order.spool.close()


def test_a_lost_keepalive_makes_the_connection_anew(root: Path, workers: list[AgencyWorker]) -> None:
    """An idle connection whose other end no longer answers is given up, and a new one made."""
    order = Order(root, "etsi-102232")
    order.write(3)
    with OddAgency() as agency:
        worker = start(workers, root, agency.port, order, Transport("tcp", keepalive_s=0.3, response_s=0.5))
        agency.accept()
        assert agency.sock is not None
        wait_for(lambda: order.delivered, what="for delivery")
        wait_for(lambda: "keep-alive" in link(worker).error, what="for the end of patience")
        agency.accept()
    order.spool.close()


def test_acknowledged_pdus_count_only_when_acknowledged(
    root: Path, workers: list[AgencyWorker], tmp_path: Path
) -> None:
    """With the option agreed on, a block waits for the agency's own word; the real receiver gives it."""
    order = Order(root, "etsi-102232", acknowledgement="request")
    with Receiver(("127.0.0.1", 0), tmp_path / "r").start() as receiver:
        worker = start(workers, root, receiver.address[1], order, Transport("tcp"))
        for _ in range(4):
            order.write(50)
            worker.wake("W-1")
        order.end()
        worker.wake()
        wait_for(lambda: order.delivered, what="for delivery")
        assert receiver.write_verdict().ok
    order.spool.close()


def test_reports_and_events_have_a_place_of_their_own(root: Path, workers: list[AgencyWorker]) -> None:
    """With a second place for events, everything of an order for headers goes there, and nothing to the first."""
    order = Order(root, "etsi-102232", "headers")
    order.event("begin")
    order.write(20)
    with OddAgency() as content, OddAgency() as events:
        transport = Transport("tcp", events_host="127.0.0.1", events_port=events.port)
        start(workers, root, content.port, order, transport)
        content.accept()
        events.accept()
        assert events.sock is not None
        assert content.sock is not None
        data = b""
        while len(data) < order.octets:
            data += events.sock.recv(1 << 16)
        wait_for(lambda: order.delivered, what="for delivery")
        content.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            content.sock.recv(1)
    assert len(numbers("etsi-102232", data, "iri")) == 21
    order.spool.close()


def _secure(tmp_path: Path, kind: Any = "tcp", **how: Any) -> tuple[Transport, Authority]:
    ours = Authority(tmp_path, "ca")
    certificate, key = ours.issue("operator")
    transport = Transport(
        kind, tls=True, ca=ours.file.read_text(), certificate=certificate.read_text(), key=key.read_text()
    )
    return replace(transport, **how), ours


def test_everything_arrives_in_tls(tmp_path: Path, root: Path, workers: list[AgencyWorker]) -> None:
    """Raw PDUs in mutual TLS 1.3; the last packet of a burst is there soon, with no traffic behind it."""
    transport, ours = _secure(tmp_path)
    order = Order(root, "etsi-102232")
    tls = server_context(*ours.issue("agency"), ours.file)
    with Receiver(("127.0.0.1", 0), tmp_path / "r", tls=tls).start() as receiver:
        worker = start(workers, root, receiver.address[1], order, transport)
        order.write(5000, 1400)
        worker.wake("W-1")
        wait_for(lambda: order.delivered, what="for delivery")
        order.write(1)
        worker.wake("W-1")
        wait_for(lambda: receiver.progress().records >= 5001, 5, what="for the last one")
        assert link(worker).peer_until > 0
        assert receiver.write_verdict().ok
    (file,) = (tmp_path / "r").glob("*.etsi-102232")
    assert numbers("etsi-102232", file.read_bytes()) == list(range(5001))
    order.spool.close()


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("foreign", "another CA"),
        ("expired", "has expired"),
        ("elsewhere", "is not for 127.0.0.1"),
        ("plain", "reset by peer"),
        ("nameless", "certificate of ours"),
    ],
)
@pytest.mark.parametrize("kind", ["tcp", "lictl"])
def test_no_secure_connection_no_delivery(
    tmp_path: Path, root: Path, workers: list[AgencyWorker], kind: Any, what: str, error: str
) -> None:
    """A wrong, expired or misnamed certificate, no TLS, none of ours: nothing is sent, and the reason is said."""
    transport, ours = _secure(tmp_path, kind)
    if what == "nameless":
        transport = replace(transport, certificate="", key="")
    issued = {
        "foreign": lambda: Authority(tmp_path, "stranger").issue("agency"),
        "expired": lambda: ours.issue("agency", days=-1),
        "elsewhere": lambda: ours.issue("agency", host="192.0.2.1"),
    }.get(what, lambda: ours.issue("agency"))()
    tls = None if what == "plain" else server_context(*issued, ours.file)
    order = Order(root, "etsi-102232")
    order.write(5)
    with Receiver(("127.0.0.1", 0), tmp_path / "r", tls=tls).start() as receiver:
        worker = start(workers, root, receiver.address[1], order, transport)
        wait_for(lambda: error in link(worker).error, what=f"for {error}, not {link(worker).error}")
        assert receiver.progress().records == 0
    assert order.spool.acknowledged == 0
    order.spool.close()


def test_datagrams_hold_one_pdu_each(root: Path, workers: list[AgencyWorker]) -> None:
    """ATIS over UDP: each datagram is one message, in order; they count once nothing has refused them for a while."""
    order = Order(root, "atis-1000013")
    order.write(200)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as port:
        port.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        port.bind(("127.0.0.1", 0))
        port.settimeout(20)
        start(workers, root, port.getsockname()[1], order, Transport("udp"))
        got = [port.recv(65536) for _ in range(200)]
        wait_for(lambda: order.delivered, what="for delivery")
    reader = PDU_FORMATS["atis-1000013"]
    assert [reader.decode(each).sequence for each in got] == list(range(1, 201))
    order.spool.close()


def test_refused_datagrams_come_again(root: Path, workers: list[AgencyWorker], tmp_path: Path) -> None:
    """Nothing listens (ICMP says so): nothing counts as delivered, and all of it comes when somebody does."""
    order = Order(root, "tzsp")
    order.write(100)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    worker = start(workers, root, port, order, Transport("udp"))
    wait_for(lambda: "refused" in link(worker).error.lower(), what="for a refusal")
    assert order.spool.acknowledged == 0
    udp = [Listen(("127.0.0.1", port), "tzsp")]
    with Receiver([], tmp_path / "r", udp=udp).start() as receiver:
        wait_for(lambda: order.delivered, what="for delivery")
        wait_for(lambda: receiver.progress().records >= 100, what="for the datagrams")
    order.spool.close()
