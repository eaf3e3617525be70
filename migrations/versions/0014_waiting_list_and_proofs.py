"""The waiting list with its offers; what each look through the calendar found"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "schedule_proofs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("appointments", sa.Integer(), nullable=False),
        sa.Column("violations", sa.Integer(), nullable=False),
        sa.Column("pending", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("found", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("schedule_proofs_pkey")),
    )
    op.create_table(
        "waitlist_entries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("protocol", sa.String(length=60), nullable=False),
        sa.Column("wish", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("priority", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("looked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("quiet_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state IN ('booked', 'left')) = (ended_at IS NOT NULL)", name=op.f("waitlist_entries_ended_check")
        ),
        sa.CheckConstraint(
            "state IN ('waiting', 'offered', 'booked', 'left')", name=op.f("waitlist_entries_state_known_check")
        ),
        sa.CheckConstraint("priority BETWEEN 0 AND 2", name=op.f("waitlist_entries_priority_check")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("waitlist_entries_patient_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("waitlist_entries_pkey")),
    )
    with op.batch_alter_table("waitlist_entries", schema=None) as batch_op:
        batch_op.create_index(
            "waitlist_entries_open_key",
            ["patient_id", "protocol"],
            unique=True,
            postgresql_where=sa.text("state IN ('waiting', 'offered')"),
        )
        batch_op.create_index(
            "waitlist_entries_waiting_idx",
            ["priority", "created_at"],
            unique=False,
            postgresql_where=sa.text("state = 'waiting'"),
        )

    op.create_table(
        "waitlist_offers",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("proposal_id", sa.Uuid(), nullable=False),
        sa.Column("gain", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'open') = (answered_at IS NULL)", name=op.f("waitlist_offers_answered_check")),
        sa.CheckConstraint(
            "state IN ('open', 'accepted', 'declined', 'expired')", name=op.f("waitlist_offers_state_known_check")
        ),
        sa.ForeignKeyConstraint(["entry_id"], ["waitlist_entries.id"], name=op.f("waitlist_offers_entry_id_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("waitlist_offers_patient_id_fkey")),
        sa.ForeignKeyConstraint(
            ["proposal_id"], ["course_proposals.id"], name=op.f("waitlist_offers_proposal_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("waitlist_offers_pkey")),
    )
    with op.batch_alter_table("waitlist_offers", schema=None) as batch_op:
        batch_op.create_index(
            "waitlist_offers_answered_idx",
            ["answered_at"],
            unique=False,
            postgresql_where=sa.text("state IN ('declined', 'expired')"),
        )
        batch_op.create_index(
            "waitlist_offers_one_open_key", ["entry_id"], unique=True, postgresql_where=sa.text("state = 'open'")
        )
        batch_op.create_index(
            "waitlist_offers_open_idx", ["expires_at"], unique=False, postgresql_where=sa.text("state = 'open'")
        )
        batch_op.create_index("waitlist_offers_patient_idx", ["patient_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("waitlist_offers", schema=None) as batch_op:
        batch_op.drop_index("waitlist_offers_patient_idx")
        batch_op.drop_index("waitlist_offers_open_idx", postgresql_where=sa.text("state = 'open'"))
        batch_op.drop_index("waitlist_offers_one_open_key", postgresql_where=sa.text("state = 'open'"))
        batch_op.drop_index(
            "waitlist_offers_answered_idx", postgresql_where=sa.text("state IN ('declined', 'expired')")
        )

    op.drop_table("waitlist_offers")
    with op.batch_alter_table("waitlist_entries", schema=None) as batch_op:
        batch_op.drop_index("waitlist_entries_waiting_idx", postgresql_where=sa.text("state = 'waiting'"))
        batch_op.drop_index("waitlist_entries_open_key", postgresql_where=sa.text("state IN ('waiting', 'offered')"))

    op.drop_table("waitlist_entries")
    op.drop_table("schedule_proofs")
