# SPDX-License-Identifier: Apache-2.0
"""The tables of lictl 0.1: an order was in force as soon as it was added."""

from __future__ import annotations

from alembic import op
from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, Integer, Text, text

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes them."""
    op.create_table("schema", Column("version", Integer, nullable=False))
    op.execute("INSERT INTO schema (version) VALUES (1)")
    op.create_table(
        "agencies",
        Column("name", Text, primary_key=True),
        Column("host", Text, nullable=False),
        Column("port", Integer, CheckConstraint("port BETWEEN 1 AND 65535"), nullable=False),
        Column("format", Text, nullable=False),
        Column("options", Text, nullable=False),
        Column("removed", Boolean, nullable=False),
    )
    op.create_table(
        "warrants",
        Column("number", Integer, primary_key=True, autoincrement=True),
        Column("liid", Text, nullable=False),
        Column("case_id", Text, nullable=False),
        Column("mode", Text, CheckConstraint("mode IN ('headers', 'content')"), nullable=False),
        Column("state", Text, nullable=False),
        Column("starts_ns", Integer, nullable=False),
        Column("ends_ns", Integer, nullable=False),
        Column("slot", Integer, CheckConstraint("slot BETWEEN 0 AND 4095"), nullable=False),
        Column("generation", Integer, CheckConstraint("generation BETWEEN 1 AND 1048575"), nullable=False),
        Column("flags", Integer, nullable=False),
        Column("targets", Text, nullable=False),
        Column("authority", Text, nullable=False),
        Column("added_ns", Integer, nullable=False),
        Column("ended_ns", Integer),
        Column("released", Boolean, nullable=False),
        Column("incarnation", Text),
        Column("base", Text, nullable=False),
        Column("text", Text, nullable=False),
        CheckConstraint("(state = 'active') = (ended_ns IS NULL)"),
        CheckConstraint("state <> 'active' OR NOT released"),
        sqlite_autoincrement=True,
    )
    op.create_index("one_claim", "warrants", ["slot", "generation"], unique=True)
    op.create_index("one_owner", "warrants", ["slot"], unique=True, sqlite_where=text("NOT released"))
    op.create_index("by_liid", "warrants", ["liid"])
    op.create_index("by_state", "warrants", ["state"])
    op.create_table(
        "deliveries",
        Column("warrant", Integer, ForeignKey("warrants.number"), primary_key=True),
        Column("position", Integer, primary_key=True),
        Column("agency", Text, ForeignKey("agencies.name"), nullable=False),
        Column("format", Text),
    )
    op.create_table(
        "slots",
        Column("slot", Integer, primary_key=True),
        Column("generation", Integer, nullable=False),
        Column("holder", Integer, ForeignKey("warrants.number"), unique=True),
    )


def downgrade() -> None:
    """There is nothing before it."""
    raise NotImplementedError("a store is not taken back to an older version")
