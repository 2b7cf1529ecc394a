# SPDX-License-Identifier: Apache-2.0
"""The tables of the store as they are now; `migrations` leads there. Times are UTC nanoseconds.

What names a subscriber stands only in columns called `sealed...`: AES-256-GCM under the order's own key
(`lictl.warrants.vault`). So do the secrets of an agency, under the agency's.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

from lictl.targets import layout
from lictl.warrants.states import BEFORE, HELD, OPEN, State

VERSION: Final = 4
"""Of the schema; the number of the newest migration."""

Long = BigInteger().with_variant(Integer, "sqlite")
"""64 bits with sign; SQLite counts keys only in an INTEGER column."""

metadata = MetaData()

schema = Table("schema", metadata, Column("version", Integer, nullable=False))

meta = Table("meta", metadata, Column("key", Text, primary_key=True), Column("value", Text, nullable=False))

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, CheckConstraint("id = 1"), primary_key=True, autoincrement=False),  # one row
    Column("seq", Long, nullable=False),
    Column("hash", Text, nullable=False),
    Column("time_ns", Long, nullable=False),
)

agencies = Table(
    "agencies",
    metadata,
    Column("name", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("port", Integer, CheckConstraint("port BETWEEN 1 AND 65535"), nullable=False),
    Column("format", Text, nullable=False),
    Column("options", Text, nullable=False),  # JSON object
    Column("removed", Boolean, nullable=False),  # kept for the orders that named it
    Column("transport", Text, nullable=False, server_default="{}"),  # JSON object without the private key
)

agency_keys = Table(
    "agency_keys",
    metadata,
    Column("agency", ForeignKey("agencies.name"), primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),  # the agency's secret, under the site key
    Column("sealed_tls_key", LargeBinary),  # PEM of the private key of this side's certificate; NULL: there is none
)


def _among(states: frozenset[State]) -> str:
    return "state IN (" + ", ".join(f"'{state}'" for state in State if state in states) + ")"


def _columns_of_windows() -> list[Column[Any]]:
    return [Column("starts_ns", Long, nullable=False), Column("ends_ns", Long, nullable=False)]


warrants = Table(
    "warrants",
    metadata,
    Column("number", Long, primary_key=True, autoincrement=True),
    Column("uuid", Text, nullable=False, unique=True),
    Column("liid", Text, nullable=False),
    Column("case_id", Text, nullable=False),
    Column("mode", Text, CheckConstraint("mode IN ('headers', 'content')"), nullable=False),
    Column("kind", Text, nullable=False),  # of the authority of its first instrument
    Column("emergency", Boolean, nullable=False),
    Column("state", Text, nullable=False),
    *_columns_of_windows(),  # in effect: what its approved instruments come to
    Column("slot", Integer, CheckConstraint(f"slot BETWEEN 0 AND {layout.MAX_SLOTS - 1}")),
    Column("generation", Integer, CheckConstraint(f"generation BETWEEN 1 AND {layout.GENERATION_MAX}")),
    Column("flags", Integer, nullable=False),
    Column("sealed_targets", LargeBinary),  # JSON list of canonical texts, in effect; NULL: the key was destroyed
    Column("added_ns", Long, nullable=False),
    Column("ended_ns", Long),
    Column("closed_ns", Long),
    Column("first_taken_ns", Long),  # the first interception
    Column("released", Boolean, nullable=False),  # holds no slot and never will again
    Column("incarnation", Text),  # decimal: 64 bits without sign
    Column("base", Text, nullable=False),  # JSON object
    Column("summary", Text),  # JSON object: what closing sealed
    CheckConstraint(f"({_among(OPEN)}) = (ended_ns IS NULL)", name="ended"),
    CheckConstraint("(state = 'closed') = (closed_ns IS NOT NULL)", name="closed"),
    CheckConstraint(f"NOT ({_among(BEFORE)}) OR slot IS NULL", name="no_slot_before_approval"),
    CheckConstraint(f"NOT ({_among(HELD)}) OR (slot IS NOT NULL AND NOT released)", name="slot_after_approval"),
    CheckConstraint("(slot IS NULL) = (generation IS NULL)", name="claim"),
    sqlite_autoincrement=True,  # a number is never given out twice
)
Index("one_claim", warrants.c.slot, warrants.c.generation, unique=True)
# Each text as SQLAlchemy writes the condition for that database, else a query does not use the index.
Index(
    "one_owner", warrants.c.slot, unique=True, sqlite_where=text("released = 0"), postgresql_where=text("NOT released")
)
Index("by_liid", warrants.c.liid)
Index("by_state", warrants.c.state)

instruments = Table(
    "instruments",
    metadata,
    Column("warrant", ForeignKey("warrants.number"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),  # 1: the order as it was added
    Column("act", Text, CheckConstraint("act IN ('original', 'extension', 'amendment')"), nullable=False),
    Column("state", Text, CheckConstraint("state IN ('draft', 'submitted', 'approved', 'withdrawn')"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("emergency", Boolean, nullable=False),
    Column("origin", Text, CheckConstraint("origin IN ('lictl', 'version-1')"), nullable=False),
    *_columns_of_windows(),  # as it states them
    Column("signed_ns", Long),
    Column("term", Text),  # JSON object: longest term of its authority when it was added; NULL: the order alone says
    Column("sealed_document", LargeBinary),  # JSON object: targets, authority, text
    Column("sealed_reason", LargeBinary),  # UTF-8: why it was rejected, or approved in spite of a warning
    Column("confirmed_shared", Boolean, nullable=False),
    Column("drafted_by", Text),  # JSON object: uid, name, login_uid; NULL: a store of version 1 did not know
    Column("drafted_ns", Long, nullable=False),
    Column("submitted_by", Text),
    Column("submitted_uid", Long),
    Column("submitted_ns", Long),
    Column("approved_by", Text),
    Column("approved_uid", Long),
    Column("approved_ns", Long),
    CheckConstraint(
        "state <> 'approved' OR origin = 'version-1' OR"
        " (submitted_uid IS NOT NULL AND approved_uid IS NOT NULL AND (emergency OR submitted_uid <> approved_uid))",
        name="two_people",
    ),
)

_PENDING = text("state IN ('draft', 'submitted')")
Index("one_pending", instruments.c.warrant, unique=True, sqlite_where=_PENDING, postgresql_where=_PENDING)

inabilities = Table(
    "inabilities",
    metadata,
    Column("warrant", ForeignKey("warrants.number"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("noted_by", Text, nullable=False),  # JSON object: uid, name, login_uid
    Column("noted_ns", Long, nullable=False),
    Column("sealed_reason", LargeBinary),  # JSON text; NULL: the key was destroyed
    Column("restored_by", Text),
    Column("restored_ns", Long),  # NULL: it lasts, or the order was over before it ended
    Column("sealed_restored", LargeBinary),
    CheckConstraint("(restored_by IS NULL) = (restored_ns IS NULL)", name="restored"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("warrant", ForeignKey("warrants.number"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("agency", ForeignKey("agencies.name"), nullable=False),
    Column("format", Text),
)

slots = Table(
    "slots",
    metadata,
    Column("slot", Integer, primary_key=True, autoincrement=False),
    Column("generation", Integer, nullable=False),  # given out last
    Column("holder", ForeignKey("warrants.number"), unique=True),
)

warrant_keys = Table(
    "warrant_keys",
    metadata,
    Column("warrant", ForeignKey("warrants.number"), primary_key=True),
    Column("wrapped", LargeBinary),  # NULL: destroyed
    Column("destroyed_ns", Long),
    CheckConstraint("(wrapped IS NULL) = (destroyed_ns IS NOT NULL)", name="kept_or_destroyed"),
)
