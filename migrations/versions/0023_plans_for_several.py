"""Courses for several who wait, planned together"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "waitlist_plans",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cost", sa.Integer(), nullable=False),
        sa.Column("bound", sa.Integer(), nullable=False),
        sa.CheckConstraint("0 <= bound AND bound <= cost", name=op.f("waitlist_plans_bound_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("waitlist_plans_pkey")),
    )
    op.create_table(
        "waitlist_plan_lines",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("proposal_id", sa.Uuid(), nullable=True),
        sa.Column("reason", sa.String(length=500), nullable=True),
        sa.Column("outcome", sa.String(length=40), nullable=True),
        sa.Column("said", sa.String(length=1000), nullable=True),
        sa.Column("course_id", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(proposal_id IS NULL) <> (reason IS NULL)", name=op.f("waitlist_plan_lines_course_or_reason_check")
        ),
        sa.CheckConstraint(
            "outcome IN ('booked', 'offered', 'lost')", name=op.f("waitlist_plan_lines_outcome_known_check")
        ),
        sa.CheckConstraint(
            "outcome IS NULL OR proposal_id IS NOT NULL", name=op.f("waitlist_plan_lines_outcome_of_a_course_check")
        ),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("waitlist_plan_lines_course_id_fkey")),
        sa.ForeignKeyConstraint(["entry_id"], ["waitlist_entries.id"], name=op.f("waitlist_plan_lines_entry_id_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("waitlist_plan_lines_patient_id_fkey")),
        sa.ForeignKeyConstraint(["plan_id"], ["waitlist_plans.id"], name=op.f("waitlist_plan_lines_plan_id_fkey")),
        sa.ForeignKeyConstraint(
            ["proposal_id"], ["course_proposals.id"], name=op.f("waitlist_plan_lines_proposal_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("waitlist_plan_lines_pkey")),
    )
    op.create_index("waitlist_plan_lines_key", "waitlist_plan_lines", ["plan_id", "entry_id"], unique=True)
    op.create_index("waitlist_plan_lines_entry_idx", "waitlist_plan_lines", ["entry_id"])
    op.create_index("waitlist_plan_lines_patient_idx", "waitlist_plan_lines", ["patient_id"])


def downgrade() -> None:
    op.drop_table("waitlist_plan_lines")
    op.drop_table("waitlist_plans")
