"""Outages with their plans, steps that can be taken back, tasks to plan dates anew"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


KINDS = (
    "'safety', 'review_intake', 'book_course', 'ask_patient', 'message_failed', 'cannot_come', 'survey_overdue',"
    " 'clinical_review', 'second_opinion', 'packet_hole', 'patient_question', 'plan_step', 'referral'"
)


def task_kinds(kinds: str) -> None:
    op.execute("ALTER TABLE tasks DROP CONSTRAINT tasks_kind_known_check")
    op.execute(f"ALTER TABLE tasks ADD CONSTRAINT tasks_kind_known_check CHECK (kind IN ({kinds}))")


def upgrade() -> None:
    task_kinds(f"{KINDS}, 'reschedule'")
    op.create_table(
        "schedule_steps",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("actor_kind", sa.String(length=40), nullable=False),
        sa.Column("actor_key", sa.String(length=40), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("location_id", sa.Integer(), nullable=False),
        sa.Column("rows", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("course", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("undone_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["location_id"], ["locations.id"], name=op.f("schedule_steps_location_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("schedule_steps_pkey")),
    )
    with op.batch_alter_table("schedule_steps", schema=None) as batch_op:
        batch_op.create_index("schedule_steps_actor_idx", ["actor_kind", "actor_key", "made_at"], unique=False)
        batch_op.create_index("schedule_steps_made_idx", ["made_at"], unique=False)

    op.create_table(
        "outages",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("location_id", sa.Integer(), nullable=True),
        sa.Column("device_id", sa.Integer(), nullable=True),
        sa.Column("staff_id", sa.Integer(), nullable=True),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("is_final", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("downtime_id", sa.Integer(), nullable=True),
        sa.Column("absence_id", sa.Integer(), nullable=True),
        sa.Column("closure_ids", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("preview", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("versions", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("previewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "CASE kind WHEN 'device' THEN device_id IS NOT NULL WHEN 'person' THEN staff_id IS NOT NULL ELSE location_id IS NOT NULL END",
            name=op.f("outages_subject_check"),
        ),
        sa.CheckConstraint("kind IN ('device', 'person', 'site')", name=op.f("outages_kind_known_check")),
        sa.CheckConstraint("state IN ('open', 'applied', 'withdrawn')", name=op.f("outages_state_known_check")),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("outages_order_check")),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("outages_device_id_fkey")),
        sa.ForeignKeyConstraint(["location_id"], ["locations.id"], name=op.f("outages_location_id_fkey")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff_users.id"], name=op.f("outages_staff_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("outages_pkey")),
    )
    with op.batch_alter_table("outages", schema=None) as batch_op:
        batch_op.create_index("outages_location_idx", ["location_id", "ends_at"], unique=False)
        batch_op.create_index(
            "outages_open_idx", ["starts_at"], unique=False, postgresql_where=sa.text("state = 'open'")
        )

    with op.batch_alter_table("schedule_changes", schema=None) as batch_op:
        batch_op.create_foreign_key(batch_op.f("schedule_changes_outage_id_fkey"), "outages", ["outage_id"], ["id"])


def downgrade() -> None:
    task_kinds(KINDS)
    with op.batch_alter_table("schedule_changes", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("schedule_changes_outage_id_fkey"), type_="foreignkey")

    with op.batch_alter_table("outages", schema=None) as batch_op:
        batch_op.drop_index("outages_open_idx", postgresql_where=sa.text("state = 'open'"))
        batch_op.drop_index("outages_location_idx")

    op.drop_table("outages")
    with op.batch_alter_table("schedule_steps", schema=None) as batch_op:
        batch_op.drop_index("schedule_steps_made_idx")
        batch_op.drop_index("schedule_steps_actor_idx")

    op.drop_table("schedule_steps")
