# SPDX-License-Identifier: Apache-2.0
"""The tables of the store. Times are UTC nanoseconds."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)

from lictl.targets import layout

VERSION: Final = 1
"""Of the schema; a store of another version is not opened."""

metadata = MetaData()

schema = Table("schema", metadata, Column("version", Integer, nullable=False))

agencies = Table(
    "agencies",
    metadata,
    Column("name", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("port", Integer, CheckConstraint("port BETWEEN 1 AND 65535"), nullable=False),
    Column("format", Text, nullable=False),
    Column("options", Text, nullable=False),  # JSON object
    Column("removed", Boolean, nullable=False),  # kept for the orders that named it
)

warrants = Table(
    "warrants",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("liid", Text, nullable=False),
    Column("case_id", Text, nullable=False),
    Column("mode", Text, CheckConstraint("mode IN ('headers', 'content')"), nullable=False),
    Column("state", Text, nullable=False),
    Column("starts_ns", Integer, nullable=False),
    Column("ends_ns", Integer, nullable=False),
    Column("slot", Integer, CheckConstraint(f"slot BETWEEN 0 AND {layout.MAX_SLOTS - 1}"), nullable=False),
    Column("generation", Integer, CheckConstraint(f"generation BETWEEN 1 AND {layout.GENERATION_MAX}"), nullable=False),
    Column("flags", Integer, nullable=False),
    Column("targets", Text, nullable=False),  # JSON list of canonical texts
    Column("authority", Text, nullable=False),  # JSON object
    Column("added_ns", Integer, nullable=False),
    Column("ended_ns", Integer),
    Column("released", Boolean, nullable=False),
    Column("incarnation", Text),  # decimal: 64 bits without sign
    Column("base", Text, nullable=False),  # JSON object
    Column("text", Text, nullable=False),
    CheckConstraint("(state = 'active') = (ended_ns IS NULL)"),
    CheckConstraint("state <> 'active' OR NOT released"),
    sqlite_autoincrement=True,  # a number is never given out twice
)
Index("one_claim", warrants.c.slot, warrants.c.generation, unique=True)
Index("one_owner", warrants.c.slot, unique=True, sqlite_where=text("NOT released"))
Index("by_liid", warrants.c.liid)
Index("by_state", warrants.c.state)

deliveries = Table(
    "deliveries",
    metadata,
    Column("warrant", ForeignKey("warrants.number"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("agency", ForeignKey("agencies.name"), nullable=False),
    Column("format", Text),
)

slots = Table(
    "slots",
    metadata,
    Column("slot", Integer, primary_key=True),
    Column("generation", Integer, nullable=False),  # given out last
    Column("holder", ForeignKey("warrants.number"), unique=True),
)
