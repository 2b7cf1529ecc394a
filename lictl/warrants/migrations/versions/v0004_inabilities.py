# SPDX-License-Identifier: Apache-2.0
"""What kept an order from being performed, since when, until when. Orders that are there have none."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def _long() -> Any:
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """A table."""
    op.create_table(
        "inabilities",
        sa.Column("warrant", _long(), sa.ForeignKey("warrants.number"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("noted_by", sa.Text, nullable=False),
        sa.Column("noted_ns", _long(), nullable=False),
        sa.Column("sealed_reason", sa.LargeBinary),
        sa.Column("restored_by", sa.Text),
        sa.Column("restored_ns", _long()),
        sa.Column("sealed_restored", sa.LargeBinary),
        sa.CheckConstraint("(restored_by IS NULL) = (restored_ns IS NULL)", name="restored"),
    )
    op.execute("UPDATE schema SET version = 4")


def downgrade() -> None:
    """What was noted is not lost again."""
    raise NotImplementedError("a store is not taken back to an older version")
