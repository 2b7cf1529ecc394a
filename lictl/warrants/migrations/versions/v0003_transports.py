# SPDX-License-Identifier: Apache-2.0
"""How each agency is reached, and keys of its own for signatures and sealed payloads.

An agency that is there already goes on as it was: lictl's own protocol, without TLS.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A column, and a table that holds a key for each agency that was not removed."""
    op.add_column("agencies", sa.Column("transport", sa.Text, nullable=False, server_default="{}"))
    made = op.create_table(
        "agency_keys",
        sa.Column("agency", sa.Text, sa.ForeignKey("agencies.name"), primary_key=True),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("sealed_tls_key", sa.LargeBinary),
    )
    context = op.get_context().config
    assert context is not None  # noqa: S101 - lictl.warrants.upgrade gives one
    sealer = context.attributes["sealer"]
    names = op.get_bind().execute(sa.text("SELECT name FROM agencies WHERE NOT removed ORDER BY name")).scalars()
    rows = [
        {"agency": name, "wrapped": sealer.wrap(sealer.new_key(), f"lictl.agencies/{name}/secret".encode())}
        for name in names
    ]
    if rows:
        op.bulk_insert(made, rows)
    op.execute("UPDATE schema SET version = 3")


def downgrade() -> None:
    """What was sealed is not written in plain again."""
    raise NotImplementedError("a store is not taken back to an older version")
