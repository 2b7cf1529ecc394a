# SPDX-License-Identifier: Apache-2.0
"""Octet equality with PS-PDUs on which independent encoders agree (asn1tools, pycrate, libwandder)."""

from __future__ import annotations

import pytest
from handover_records import UDP, encode_all, info, packet

from lictl.handover.etsi_iri import BEGIN, Access, session_payload
from lictl.handover.etsi_pdu import KEEPALIVE, KEEPALIVE_RESPONSE, SESSION, Names, tri
from lictl.handover.registry import encoder

WHEN = 1_740_830_400_123_456_000  # 2025-03-01T12:00:00.123456Z
HEADER = (
    "a14580070400020205012881084c4949443030303182025553a319a01080054f50455231810770726f6265303181010182025553"
    "840100a70b800467c2f6c0810301e240880101"
)
IP = bytes.fromhex("4500001c000100004011b6c9cb007107c63364019c4001bb00080000")
IPCC = f"307a{HEADER}a231a12f302d800100a228a226800405031402a11e801c{IP.hex()}"
IPIRI = (
    f"308183{HEADER}a23aa0383036800101a231a22f800405031401a1278001078109616c69636540697370820106830101"
    "a40e810100a2068104cb007107830102960102"
)
SESSION_HEADER = HEADER.replace("810101", "810100", 1).replace("840100", "840107", 1)
NAMES = Names("LIID0001", "US", "OPER1", "probe01")


def test_content() -> None:
    """IPCC with a packet of 28 octets; what the link layer added behind it is gone."""
    frame = bytes(14) + IP + b"trailer"
    data, _ = encode_all(encoder("etsi-102232", info("content")), packet(frame, **UDP, utc_ns=WHEN, l3_len=28), [frame])
    assert data.hex() == IPCC


def test_begin_of_a_session() -> None:
    """IPIRI with one address."""
    payload = session_payload(BEGIN, 7, ("203.0.113.7",), Access(b"alice@isp", 6, 2, 2))
    assert NAMES.pdu(0, WHEN, payload).hex() == IPIRI


@pytest.mark.parametrize(("tag", "end"), [(KEEPALIVE, "8300"), (KEEPALIVE_RESPONSE, "8400")])
def test_keepalive_and_its_response(tag: int, end: str) -> None:
    """CIN 0 and a number of its own."""
    assert NAMES.pdu(7, WHEN, tri(tag), SESSION).hex() == f"304d{SESSION_HEADER}a204a202{end}"
