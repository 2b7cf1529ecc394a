# SPDX-License-Identifier: Apache-2.0
"""A store as lictl 0.1 made it: its own statements, kept here as they were, and rows as it wrote them."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

from warrant_texts import DAY_NS, NOW_NS, build_text

from lictl.times import parse_rfc3339

if TYPE_CHECKING:
    from pathlib import Path

SCHEMA = """
CREATE TABLE schema (version INTEGER NOT NULL);
CREATE TABLE agencies (
    name TEXT NOT NULL, host TEXT NOT NULL, port INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65535),
    format TEXT NOT NULL, options TEXT NOT NULL, removed BOOLEAN NOT NULL, PRIMARY KEY (name));
CREATE TABLE warrants (
    number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, liid TEXT NOT NULL, case_id TEXT NOT NULL,
    mode TEXT NOT NULL CHECK (mode IN ('headers', 'content')), state TEXT NOT NULL, starts_ns INTEGER NOT NULL,
    ends_ns INTEGER NOT NULL, slot INTEGER NOT NULL CHECK (slot BETWEEN 0 AND 4095),
    generation INTEGER NOT NULL CHECK (generation BETWEEN 1 AND 1048575), flags INTEGER NOT NULL,
    targets TEXT NOT NULL, authority TEXT NOT NULL, added_ns INTEGER NOT NULL, ended_ns INTEGER,
    released BOOLEAN NOT NULL, incarnation TEXT, base TEXT NOT NULL, text TEXT NOT NULL,
    CHECK ((state = 'active') = (ended_ns IS NULL)), CHECK (state <> 'active' OR NOT released));
CREATE UNIQUE INDEX one_claim ON warrants (slot, generation);
CREATE UNIQUE INDEX one_owner ON warrants (slot) WHERE NOT released;
CREATE INDEX by_liid ON warrants (liid);
CREATE INDEX by_state ON warrants (state);
CREATE TABLE deliveries (
    warrant INTEGER NOT NULL, position INTEGER NOT NULL, agency TEXT NOT NULL, format TEXT,
    PRIMARY KEY (warrant, position), FOREIGN KEY (warrant) REFERENCES warrants (number),
    FOREIGN KEY (agency) REFERENCES agencies (name));
CREATE TABLE slots (
    slot INTEGER NOT NULL, generation INTEGER NOT NULL, holder INTEGER, PRIMARY KEY (slot), UNIQUE (holder),
    FOREIGN KEY (holder) REFERENCES warrants (number));
INSERT INTO schema VALUES (1);
INSERT INTO agencies VALUES ('sheriff', '192.0.2.10', 41900, 'pcapng', '{}', 0);
INSERT INTO agencies VALUES ('fbi', 'fbi.example', 41900, 'text', '{"encoding": "hex"}', 1);
"""
TARGET = "ip:203.0.113.7"
SUBJECT = "Mary Target"
AUTHORITY = {
    "kind": "title-iii", "citation": "18 USC 2518", "court": "D. Example", "docket": SUBJECT,
    "signed_by": "Judge R. Roe", "signed_at": parse_rfc3339("2026-03-01T12:00:00Z"), "presented_by": "Agent J. Doe",
}  # fmt: skip


def make(path: Path) -> None:
    """A store of five orders: armed, waiting, revoked and not released, revoked, expired; a number that is gone."""
    path.touch(0o600)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(SCHEMA)
    add(connection, liid="armed", slot=0, generation=3, incarnation=str((1 << 64) - 1), base='{"a": 1}')
    add(connection, liid="waiting", slot=1, starts_ns=NOW_NS + DAY_NS)
    add(connection, liid="ending", slot=2, state="revoked", ended_ns=NOW_NS, ends_ns=NOW_NS)
    add(connection, liid="gone", slot=0, state="revoked", ended_ns=NOW_NS, ends_ns=NOW_NS, released=1)
    add(connection, liid="past", slot=0, generation=2, state="expired", ended_ns=NOW_NS, ends_ns=NOW_NS, released=1)
    add(connection, liid="deleted", slot=9)
    connection.execute("DELETE FROM deliveries WHERE warrant = 6")
    connection.execute("DELETE FROM warrants WHERE number = 6")
    connection.executemany("INSERT INTO slots VALUES (?, ?, ?)", [(0, 3, 1), (1, 1, 2), (2, 1, 3), (9, 1, None)])
    connection.commit()
    connection.close()


def add(connection: sqlite3.Connection, **values: Any) -> None:
    """One order; what is not said is as of an order that was just added."""
    row = {
        "case_id": "CASE-1",
        "mode": "content",
        "state": "active",
        "starts_ns": parse_rfc3339("2026-03-02T00:00:00Z"),
        "ends_ns": parse_rfc3339("2026-03-30T00:00:00Z"),
        "generation": 1,
        "flags": 0,
        "targets": json.dumps([TARGET]),
        "authority": json.dumps(AUTHORITY),
        "added_ns": NOW_NS,
        "ended_ns": None,
        "released": 0,
        "incarnation": None,
        "base": "{}",
        "text": build_text({"authority.docket": f'"{SUBJECT}"'}),
    } | values
    columns, marks = ", ".join(row), ", ".join("?" * len(row))
    number = connection.execute(f"INSERT INTO warrants ({columns}) VALUES ({marks})", list(row.values())).lastrowid  # noqa: S608
    connection.execute("INSERT INTO deliveries VALUES (?, 0, 'sheriff', 'pcapng')", [number])
