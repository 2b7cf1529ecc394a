# SPDX-License-Identifier: Apache-2.0
"""How agencies are reached and their keys, as the store keeps them; on both databases."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import version_1

from lictl.delivery.config import Transport
from lictl.errors import IntegrityError, UnavailableError
from lictl.warrants.records import Agency
from lictl.warrants.store import Store

if TYPE_CHECKING:
    from pathlib import Path

PRIVATE = "the private half\n"
WAY = Transport(
    "tcp", "events.example", 41901, tls=True, tls_min="1.2", ca="CA", certificate="CERTIFICATE", key=PRIVATE,
    keepalive_s=5.0, response_s=2.5, bytes_per_s=1_000_000, backlog_bytes=1 << 30, files={"every_s": 60},
)  # fmt: skip


def test_a_transport_comes_back_as_it_was(either: Store) -> None:
    """All of it; the private key only where it is asked for, and in no plain form of an agency."""
    agency = Agency("state", "192.0.2.10", 41900, "text", {"encoding": "hex"}, WAY)
    either.add_agency(agency)
    assert either.transport("state") == WAY
    assert either.agency("state").transport.key == ""
    assert Agency.from_plain(agency.to_plain()) == either.agency("state")
    assert "private half" not in f"{agency} {agency.to_plain()}"


def test_each_agency_has_keys_of_its_own(either: Store) -> None:
    """They stay the same, differ between agencies, and are others when an agency is removed and comes back."""
    for name in ("state", "city"):
        either.add_agency(Agency(name, "192.0.2.10", 41900, "text"))
    first = either.agency_keys("state")
    assert either.agency_keys("state").eddsa_pem == first.eddsa_pem
    assert either.agency_keys("city").payload_key != first.payload_key
    either.remove_agency("state")
    with pytest.raises(UnavailableError, match="no agency 'state'"):
        either.agency_keys("state")
    either.add_agency(Agency("state", "192.0.2.10", 41900, "text"))
    assert either.agency_keys("state").eddsa_pem != first.eddsa_pem
    assert either.transport("state") == Transport()


def test_credentials_are_renewed_and_the_rest_stays(either: Store) -> None:
    """Another key takes the old one's place, or none; what the agency verifies and opens with is the same as before."""
    either.add_agency(Agency("state", "192.0.2.10", 41900, "text", {"encoding": "hex"}, WAY))
    before, keys = either.agency("state"), either.agency_keys("state")
    new = replace(WAY, ca="OLD NEW", certificate="ANOTHER", key="another half\n")
    either.renew_agency("state", new)
    assert either.transport("state") == new
    assert either.agency("state") == replace(before, transport=replace(new, key=""))
    assert either.agency_keys("state").eddsa_pem == keys.eddsa_pem
    either.renew_agency("state", replace(new, certificate="", key=""))
    assert either.transport("state").key == ""
    with pytest.raises(UnavailableError, match="no agency 'city'"):
        either.renew_agency("city", new)


def test_secrets_are_sealed_in_the_file(tmp_path: Path) -> None:
    """Neither the private key nor the payload key stands in the database; moved to another agency, they do not open."""
    path = tmp_path / "warrants.db"
    store = Store.open(path)
    for name in ("state", "city"):
        store.add_agency(Agency(name, "192.0.2.10", 41900, "text", transport=WAY))
    key = store.agency_keys("state").payload_key
    store.close()
    found = b"".join(file.read_bytes() for file in tmp_path.glob("warrants.db*"))
    assert b"private half" not in found
    assert key not in found
    with sqlite3.connect(path) as plain:
        plain.execute(
            "UPDATE agency_keys SET (wrapped, sealed_tls_key) ="
            " (SELECT wrapped, sealed_tls_key FROM agency_keys WHERE agency = 'city') WHERE agency = 'state'"
        )
    store = Store.open(path)
    with pytest.raises(IntegrityError, match="does not open"):
        store.transport("state")
    store.close()


def test_agencies_of_an_older_store_get_keys(tmp_path: Path) -> None:
    """An upgrade leaves them reached as they were, and gives each a key."""
    version_1.make(tmp_path / "warrants.db")
    store = Store.open(tmp_path / "warrants.db")
    assert store.agency("sheriff").transport == Transport()
    assert store.agency_keys("sheriff").eddsa_pem.startswith(b"-----BEGIN PUBLIC KEY")
    store.close()
