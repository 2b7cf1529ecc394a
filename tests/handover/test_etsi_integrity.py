# SPDX-License-Identifier: Apache-2.0
"""Integrity checks of ETSI streams, recomputed from the delivered octets without lictl's own code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from etsi_agency import Agency
from etsi_schema import FORM, KEYS, pdus
from handover_records import T0, TCP, encode_all, header, info, numbered, packet, select

from lictl.errors import UsageError
from lictl.handover.base import MAX_STATE, Event, Gap
from lictl.handover.registry import encoder
from lictl.probe.batch import Batch, Position

if TYPE_CHECKING:
    import numpy as np

PEM = {"eddsa": KEYS.eddsa_pem, "ecdsa": KEYS.ecdsa_pem}


def frames(n: int) -> tuple[np.ndarray[Any, Any], list[bytes]]:
    """Packets of several lengths."""
    made = [bytes(14) + bytes([0x45]) + i.to_bytes(4) * (5 + i % 300) for i in range(n)]
    return numbered([packet(frame, **TCP) for frame in made]), made


def made(mode: Any, **options: str) -> Any:
    """An encoder with the agency's keys."""
    return encoder(FORM, info(mode, options, keys=KEYS))


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("signature", ["eddsa", "ecdsa"])
def test_digests_are_over_what_is_delivered_and_signatures_bind_them(algorithm: str, signature: str) -> None:
    """Every PDU is under a digest that can be recomputed, every digest under a signature that holds for it alone."""
    one = made("content", integrity=algorithm, signature=signature)
    recs, data = frames(3500)
    out = bytearray(one.event(Event("begin", T0, ("203.0.113.7",))))
    out += encode_all(one, recs, data)[0]
    out += one.event(Event("end", T0 + 10**9, ("203.0.113.7",)))
    agency = Agency(bytes(out), PEM[signature])
    assert agency.covered == set(agency.pdus)
    assert len(agency.pdus) == 3502
    assert agency.signed == set(agency.digests)
    assert agency.good >= 6
    assert agency.signatures == 2


def test_a_changed_octet_is_found() -> None:
    """Content that differs in one bit does not go with its digest."""
    recs, data = frames(3)
    out = bytearray(encode_all(made("content", integrity="sha256"), recs, data)[0])
    at = out.index(data[1][14:40]) + 20
    out[at] ^= 1
    with pytest.raises(AssertionError):
        Agency(bytes(out))


def test_header_reports_are_covered_without_any_payload() -> None:
    """Reports and events share the numbering of IRI and its digests."""
    one = made("headers", integrity="sha256", signature="eddsa")
    out = one.event(Event("begin", T0, ("203.0.113.7",)))
    out += encode_all(one, numbered([header() for _ in range(50)]))[0]
    out += one.event(Event("end", T0))
    agency = Agency(out, PEM["eddsa"])
    assert agency.covered == {("iRI", n) for n in range(52)}
    assert agency.signed == set(agency.digests)


def chunk(one: Any, position: Position, i: int) -> bytes:
    """One more packet of a stream."""
    frame = bytes(14) + b"E" + bytes(40)
    batch = Batch.of(packet(frame, slot_seq=i + 1, utc_ns=T0 + i), [frame])
    return b"".join(bytes(part.payload) for part in one.encode(batch, select(batch, one.kind, position)))


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_restart_loses_no_pending_digest(algorithm: str) -> None:
    """The state beside each block carries digests over to the next encoder, which signs them; it stays short."""
    position, state, out = Position(), b"", b""
    for i in range(40):
        one = made("content", integrity=algorithm, signature="eddsa")
        one.resume(state)
        out += one.event(Event("continue", T0 + i)) + chunk(one, position, i)
        state = one.state()
        assert len(state) <= MAX_STATE
    one.resume(state)
    out += one.event(Event("end", T0 + 50))
    agency = Agency(out, PEM["eddsa"])
    assert agency.covered == set(agency.pdus)
    assert agency.signed == set(agency.digests)
    assert [number for kind, number in agency.pdus if kind == "cC"] == list(range(40))
    assert [number for kind, number in agency.pdus if kind == "iRI"] == list(range(41))


def test_time_alone_brings_the_signature() -> None:
    """A digest waits 30 seconds at most; before that nothing is due."""
    one = made("content", integrity="sha256", signature="ecdsa")
    out = chunk(one, Position(), 0)
    assert one.due(T0 + 29_000_000_000) == b""
    signed = one.due(T0 + 30_000_000_000)
    assert Agency(out + signed, PEM["ecdsa"]).signatures == 1
    assert one.due(T0 + 90_000_000_000) == b""


def test_fifteen_digests_bring_the_signature() -> None:
    """At most 15 digests are under one signature."""
    one, position = made("content", integrity="sha256", signature="eddsa"), Position()
    out = b"".join(chunk(one, position, i) for i in range(31))
    agency = Agency(out, PEM["eddsa"])
    assert agency.signatures == 2
    assert len(agency.signed) == 30


def test_a_chunk_that_was_not_written_leaves_no_trace() -> None:
    """After a rollback the numbers of checks go on where the spool's newest block has them."""
    one, position = made("content", integrity="sha256", signature="eddsa"), Position()
    out = chunk(one, position, 0)
    state = one.state()
    chunk(one, position, 1)  # lost
    one.resume(state)
    out += one.gap(Gap(1, 2, "disk", T0, T0)) + chunk(one, position, 2) + one.event(Event("end", T0))
    agency = Agency(out, PEM["eddsa"])
    assert sorted(n for kind, n in agency.pdus if kind == "cC") == [0, 2]
    assert agency.signed == set(agency.digests)


@pytest.mark.parametrize("options", [{"signature": "eddsa"}, {"encryption": "aes-256-cbc"}])
def test_a_missing_key_is_refused_at_once(options: dict[str, str]) -> None:
    """No stream begins that would halt at its first signature."""
    with pytest.raises(UsageError, match="keys"):
        encoder(FORM, info("content", {"integrity": "sha256", **options}))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"signature": "eddsa"}, "digests"),
        ({"signature": "rsa"}, "eddsa, ecdsa"),
        ({"integrity": "md5"}, "sha256, sha512"),
        ({"colour": "red"}, "acknowledgement, encryption, headers"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, str], said: str) -> None:
    """With what would work."""
    with pytest.raises(UsageError) as caught:
        encoder(FORM, info("content", options, keys=KEYS))
    assert said in f"{caught.value} {caught.value.fix}"


def test_the_reader_gives_the_check() -> None:
    """What `lictl receive` verifies by: kinds, numbers and algorithms."""
    one = made("content", integrity="sha512", signature="ecdsa")
    out = chunk(one, Position(), 0) + one.event(Event("end", T0))
    checks = [pdu.check for pdu in pdus(out) if pdu.check is not None]
    assert [(check.of, check.signature, check.algorithm, check.hash, check.numbers) for check in checks] == [
        ("cc", False, "sha512", "sha512", (0,)), ("iri", False, "sha512", "sha512", (0,)),
        ("iri", True, "ecdsa", "sha512", (1,)), ("cc", True, "ecdsa", "sha512", (0,)),
    ]  # fmt: skip
    assert [pdu.sequence for pdu in pdus(out) if pdu.check is not None] == [0, 1, 2, 3]
