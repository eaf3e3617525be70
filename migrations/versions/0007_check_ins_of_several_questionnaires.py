"""check-ins of several questionnaires

A check-in belongs to an occasion and holds several questionnaires; scores can be corrected; weekly asking by course.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATES = "state IN ('open', 'answered', 'missed', 'cancelled')"
OLD_STATES = "state IN ('open', 'answered', 'cancelled')"


def upgrade() -> None:
    op.create_table(
        "weekly_asks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("course_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.LargeBinary(), nullable=False),
        sa.Column("asked_by", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["asked_by"], ["staff_users.id"], name=op.f("weekly_asks_asked_by_fkey")),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("weekly_asks_course_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("weekly_asks_pkey")),
    )
    op.create_index(
        "weekly_asks_present_key",
        "weekly_asks",
        ["course_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )

    op.add_column("surveys", sa.Column("occasion", sa.String(60)))
    op.add_column("surveys", sa.Column("instruments", postgresql.ARRAY(sa.String(40))))
    op.add_column("surveys", sa.Column("saved_at", sa.DateTime(timezone=True)))
    op.execute(
        "UPDATE surveys SET instruments = ARRAY[instrument], "
        "occasion = CASE milestone WHEN 0 THEN 'baseline' ELSE 'session:' || milestone END"
    )
    op.alter_column("surveys", "occasion", nullable=False)
    op.alter_column("surveys", "instruments", nullable=False)
    op.alter_column("surveys", "course_id", nullable=True)
    op.drop_index("surveys_once_key", "surveys")
    op.drop_index("surveys_patient_idx", "surveys")
    op.drop_column("surveys", "instrument")
    op.drop_column("surveys", "instrument_version")
    op.drop_constraint(op.f("surveys_state_known_check"), "surveys")
    op.create_check_constraint(op.f("surveys_state_known_check"), "surveys", STATES)
    op.create_check_constraint(op.f("surveys_instruments_check"), "surveys", "cardinality(instruments) >= 1")
    op.create_index("surveys_once_key", "surveys", ["course_id", "occasion"], unique=True)
    op.create_index(
        "surveys_asked_key",
        "surveys",
        ["patient_id", "occasion"],
        unique=True,
        postgresql_where=sa.text("course_id IS NULL"),
    )
    op.create_index("surveys_patient_idx", "surveys", ["patient_id", "due_at"])
    op.create_index("surveys_open_idx", "surveys", ["due_at"], postgresql_where=sa.text("state = 'open'"))

    op.add_column("scores", sa.Column("entered_by", sa.Integer()))
    op.add_column("scores", sa.Column("superseded_at", sa.DateTime(timezone=True)))
    op.create_foreign_key(op.f("scores_entered_by_fkey"), "scores", "staff_users", ["entered_by"], ["id"])
    op.drop_index("scores_survey_key", "scores")
    op.create_index(
        "scores_survey_key",
        "scores",
        ["survey_id", "instrument"],
        unique=True,
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    op.create_index("courses_ended_idx", "courses", ["ended_at"], postgresql_where=sa.text("ended_at IS NOT NULL"))


def downgrade() -> None:
    op.drop_index("courses_ended_idx", "courses")
    op.drop_index("scores_survey_key", "scores")
    op.execute("DELETE FROM scores WHERE superseded_at IS NOT NULL")
    op.execute("UPDATE scores SET survey_id = NULL WHERE instrument <> 'phq9'")
    op.create_index("scores_survey_key", "scores", ["survey_id"], unique=True)
    op.drop_column("scores", "superseded_at")
    op.drop_column("scores", "entered_by")

    op.execute(
        "UPDATE scores SET survey_id = NULL WHERE survey_id IN (SELECT id FROM surveys WHERE NOT ('phq9' = ANY(instruments)) OR course_id IS NULL OR NOT (occasion = 'baseline' OR occasion LIKE 'session:%'))"
    )
    op.execute(
        "DELETE FROM surveys WHERE NOT ('phq9' = ANY(instruments)) OR course_id IS NULL "
        "OR NOT (occasion = 'baseline' OR occasion LIKE 'session:%')"
    )
    op.execute("UPDATE surveys SET state = 'cancelled' WHERE state = 'missed'")
    for name in ("surveys_open_idx", "surveys_patient_idx", "surveys_asked_key", "surveys_once_key"):
        op.drop_index(name, "surveys")
    op.drop_constraint(op.f("surveys_instruments_check"), "surveys")
    op.drop_constraint(op.f("surveys_state_known_check"), "surveys")
    op.create_check_constraint(op.f("surveys_state_known_check"), "surveys", OLD_STATES)
    op.add_column("surveys", sa.Column("instrument", sa.String(40), server_default="phq9", nullable=False))
    op.add_column("surveys", sa.Column("instrument_version", sa.String(20), server_default="1.0", nullable=False))
    op.alter_column("surveys", "instrument", server_default=None)
    op.alter_column("surveys", "instrument_version", server_default=None)
    op.alter_column("surveys", "course_id", nullable=False)
    op.drop_column("surveys", "saved_at")
    op.drop_column("surveys", "instruments")
    op.drop_column("surveys", "occasion")
    op.create_index("surveys_once_key", "surveys", ["course_id", "instrument", "milestone"], unique=True)
    op.create_index("surveys_patient_idx", "surveys", ["patient_id"])
    op.drop_table("weekly_asks")
