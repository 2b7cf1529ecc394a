# SPDX-License-Identifier: Apache-2.0
"""Approval by two people, instruments, first interception, sealed columns.

An order that was in force stays in force: what a court ordered does not lapse because lictl was brought up to date.
Its instrument is marked `version-1`: nobody was asked to approve it, and who added it is not known. Its folders keep
their names. Whatever names a subscriber is sealed under the order's new key.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# The authorities of lictl 0.1: longest term, and from when it counts.
_TERMS = {
    "title-iii": ("30 days", "start-or-tenth-day"),
    "title-iii-emergency": ("48 hours", "start"),
    "pen-trap": ("60 days", "start"),
    "pen-trap-emergency": ("48 hours", "start"),
    "fisa-1805": ("365 days", "start"),
    "fisa-1842": ("365 days", "start"),
}
_OPEN = "'draft', 'submitted', 'approved', 'active', 'suspended'"
_CHUNK = 500


def upgrade() -> None:
    """New tables, filled from the old ones."""
    connection = op.get_bind()
    for index in ("one_claim", "one_owner", "by_liid", "by_state"):
        op.drop_index(index, "warrants")
    for table in ("warrants", "deliveries", "slots"):
        op.rename_table(table, f"{table}_1")
    if connection.dialect.name == "postgresql":  # constraints keep their names there, and the new ones want them
        for table in ("warrants", "deliveries", "slots"):
            op.execute(f"ALTER TABLE {table}_1 RENAME CONSTRAINT {table}_pkey TO {table}_1_pkey")
        op.execute("ALTER TABLE slots_1 RENAME CONSTRAINT slots_holder_key TO slots_1_holder_key")
    _make_warrants()
    _make_the_rest()
    _copy(connection)
    for table in ("slots", "deliveries", "warrants"):
        op.drop_table(f"{table}_1")
    op.execute("UPDATE schema SET version = 2")


def _long() -> Any:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _make_warrants() -> None:
    op.create_table(
        "warrants",
        sa.Column("number", _long(), primary_key=True, autoincrement=True),
        sa.Column("uuid", sa.Text, nullable=False, unique=True),
        sa.Column("liid", sa.Text, nullable=False),
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, sa.CheckConstraint("mode IN ('headers', 'content')"), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("emergency", sa.Boolean, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("starts_ns", _long(), nullable=False),
        sa.Column("ends_ns", _long(), nullable=False),
        sa.Column("slot", sa.Integer, sa.CheckConstraint("slot BETWEEN 0 AND 4095")),
        sa.Column("generation", sa.Integer, sa.CheckConstraint("generation BETWEEN 1 AND 1048575")),
        sa.Column("flags", sa.Integer, nullable=False),
        sa.Column("sealed_targets", sa.LargeBinary),
        sa.Column("added_ns", _long(), nullable=False),
        sa.Column("ended_ns", _long()),
        sa.Column("closed_ns", _long()),
        sa.Column("first_taken_ns", _long()),
        sa.Column("released", sa.Boolean, nullable=False),
        sa.Column("incarnation", sa.Text),
        sa.Column("base", sa.Text, nullable=False),
        sa.Column("summary", sa.Text),
        sa.CheckConstraint(f"(state IN ({_OPEN})) = (ended_ns IS NULL)", name="ended"),
        sa.CheckConstraint("(state = 'closed') = (closed_ns IS NOT NULL)", name="closed"),
        sa.CheckConstraint("NOT (state IN ('draft', 'submitted')) OR slot IS NULL", name="no_slot_before_approval"),
        sa.CheckConstraint(
            "NOT (state IN ('approved', 'active', 'suspended')) OR (slot IS NOT NULL AND NOT released)",
            name="slot_after_approval",
        ),
        sa.CheckConstraint("(slot IS NULL) = (generation IS NULL)", name="claim"),
        sqlite_autoincrement=True,
    )
    op.create_index("one_claim", "warrants", ["slot", "generation"], unique=True)
    op.create_index(
        "one_owner",
        "warrants",
        ["slot"],
        unique=True,
        sqlite_where=sa.text("released = 0"),
        postgresql_where=sa.text("NOT released"),
    )
    op.create_index("by_liid", "warrants", ["liid"])
    op.create_index("by_state", "warrants", ["state"])


def _make_instruments() -> None:
    op.create_table(
        "instruments",
        sa.Column("warrant", _long(), sa.ForeignKey("warrants.number"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("act", sa.Text, sa.CheckConstraint("act IN ('original', 'extension', 'amendment')"), nullable=False),
        sa.Column(
            "state",
            sa.Text,
            sa.CheckConstraint("state IN ('draft', 'submitted', 'approved', 'withdrawn')"),
            nullable=False,
        ),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("emergency", sa.Boolean, nullable=False),
        sa.Column("origin", sa.Text, sa.CheckConstraint("origin IN ('lictl', 'version-1')"), nullable=False),
        sa.Column("starts_ns", _long(), nullable=False),
        sa.Column("ends_ns", _long(), nullable=False),
        sa.Column("signed_ns", _long()),
        sa.Column("term", sa.Text),
        sa.Column("sealed_document", sa.LargeBinary),
        sa.Column("sealed_reason", sa.LargeBinary),
        sa.Column("confirmed_shared", sa.Boolean, nullable=False),
        sa.Column("drafted_by", sa.Text),
        sa.Column("drafted_ns", _long(), nullable=False),
        sa.Column("submitted_by", sa.Text),
        sa.Column("submitted_uid", _long()),
        sa.Column("submitted_ns", _long()),
        sa.Column("approved_by", sa.Text),
        sa.Column("approved_uid", _long()),
        sa.Column("approved_ns", _long()),
        sa.CheckConstraint(
            "state <> 'approved' OR origin = 'version-1' OR"
            " (submitted_uid IS NOT NULL AND approved_uid IS NOT NULL"
            " AND (emergency OR submitted_uid <> approved_uid))",
            name="two_people",
        ),
    )
    pending = sa.text("state IN ('draft', 'submitted')")
    op.create_index(
        "one_pending", "instruments", ["warrant"], unique=True, sqlite_where=pending, postgresql_where=pending
    )


def _make_the_rest() -> None:
    _make_instruments()
    op.create_table(
        "deliveries",
        sa.Column("warrant", _long(), sa.ForeignKey("warrants.number"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("agency", sa.Text, sa.ForeignKey("agencies.name"), nullable=False),
        sa.Column("format", sa.Text),
    )
    op.create_table(
        "slots",
        sa.Column("slot", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("holder", _long(), sa.ForeignKey("warrants.number"), unique=True),
    )
    op.create_table(
        "warrant_keys",
        sa.Column("warrant", _long(), sa.ForeignKey("warrants.number"), primary_key=True),
        sa.Column("wrapped", sa.LargeBinary),
        sa.Column("destroyed_ns", _long()),
        sa.CheckConstraint("(wrapped IS NULL) = (destroyed_ns IS NOT NULL)", name="kept_or_destroyed"),
    )
    op.create_table("meta", sa.Column("key", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False))
    op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, sa.CheckConstraint("id = 1"), primary_key=True, autoincrement=False),
        sa.Column("seq", _long(), nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("time_ns", _long(), nullable=False),
    )


def _copy(connection: sa.Connection) -> None:
    context = op.get_context().config
    assert context is not None  # noqa: S101 - lictl.warrants.upgrade gives one
    sealer = context.attributes["sealer"]
    tables = sa.MetaData()
    new = {
        name: sa.Table(name, tables, autoload_with=connection) for name in ("warrants", "instruments", "warrant_keys")
    }
    last = 0
    while True:
        query = sa.text("SELECT * FROM warrants_1 WHERE number > :last ORDER BY number LIMIT :chunk")
        rows = connection.execute(query, {"last": last, "chunk": _CHUNK}).mappings().all()
        if not rows:
            break
        made = [_converted(row, sealer) for row in rows]
        for at, name in enumerate(new):
            connection.execute(new[name].insert(), [each[at] for each in made])
        last = rows[-1]["number"]
    op.execute("INSERT INTO deliveries (warrant, position, agency, format)"
               " SELECT warrant, position, agency, format FROM deliveries_1")  # fmt: skip
    op.execute("INSERT INTO slots (slot, generation, holder) SELECT slot, generation, holder FROM slots_1")
    if connection.dialect.name == "sqlite":  # numbers of rows that are gone are not given out again either
        op.execute("DELETE FROM sqlite_sequence WHERE name = 'warrants'")
        op.execute("UPDATE sqlite_sequence SET name = 'warrants' WHERE name = 'warrants_1'")


def _converted(row: Any, sealer: Any) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """One old order as rows of warrants, instruments and warrant_keys."""
    number, uuid = row["number"], f"W-{row['number']}"
    key = sealer.new_key()

    def seal(place: str, value: Any) -> bytes:
        sealed: bytes = sealer.seal(key, json.dumps(value).encode(), f"lictl.warrants/{uuid}/{place}".encode())
        return sealed

    authority, targets = json.loads(row["authority"]), json.loads(row["targets"])
    kind = authority["kind"]
    term = None
    if kind in _TERMS:
        text, counts_from = _TERMS[kind]
        term = json.dumps({"text": text, "counts_from": counts_from, "zone": "UTC", "weekend": ["sat", "sun"]})
    kept = ("number", "liid", "case_id", "mode", "starts_ns", "ends_ns", "slot", "generation", "flags", "added_ns",
            "ended_ns", "incarnation", "base")  # fmt: skip
    never_armed = row["state"] == "active" and row["incarnation"] is None
    warrant = {name: row[name] for name in kept} | {
        "uuid": uuid,
        "kind": kind,
        "emergency": False,
        "state": "approved" if never_armed else row["state"],
        "released": bool(row["released"]),
        "sealed_targets": seal("targets", targets),
    }
    instrument = {
        "warrant": number,
        "position": 1,
        "act": "original",
        "state": "approved",
        "kind": kind,
        "emergency": False,
        "origin": "version-1",
        "starts_ns": row["starts_ns"],
        "ends_ns": row["ends_ns"],
        "signed_ns": authority.get("signed_at"),
        "term": term,
        "sealed_document": seal("document/1", {"targets": targets, "authority": authority, "text": row["text"]}),
        "confirmed_shared": False,
        "drafted_ns": row["added_ns"],
    }
    wrapped = sealer.wrap(key, f"lictl.warrants/{uuid}/key".encode())
    return warrant, instrument, {"warrant": number, "wrapped": wrapped, "destroyed_ns": None}


def downgrade() -> None:
    """What was sealed is not written in plain again."""
    raise NotImplementedError("a store is not taken back to an older version")
