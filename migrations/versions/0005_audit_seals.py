"""Seals of the audit trail, and from where each event came"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("audit_events", sa.Column("origin", sa.LargeBinary(), nullable=True))
    op.add_column("audit_events", sa.Column("erased_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "audit_seals",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("ids", sa.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.Column("missing", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("chain", sa.LargeBinary(length=32), nullable=False),
        sa.Column("mac", sa.LargeBinary(length=32), nullable=False),
        sa.Column("key_id", sa.LargeBinary(length=8), nullable=False),
        sa.CheckConstraint(
            "octet_length(hashes) = 32 * cardinality(ids)", name=op.f("audit_seals_hash_for_each_check")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("audit_seals_pkey")),
    )
    with op.get_context().autocommit_block():  # the table may be large: nobody waits for its index
        op.create_index(
            "audit_events_actor_idx", "audit_events", ["actor_kind", "actor_key", "id"], postgresql_concurrently=True
        )


def downgrade() -> None:
    op.drop_index("audit_events_actor_idx", "audit_events")
    op.drop_table("audit_seals")
    op.drop_column("audit_events", "erased_at")
    op.drop_column("audit_events", "origin")
