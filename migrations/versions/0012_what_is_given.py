"""What is given: records of sessions, watched visits, adverse events, permits and holds"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

KINDS = (
    "safety",
    "review_intake",
    "book_course",
    "ask_patient",
    "message_failed",
    "cannot_come",
    "survey_overdue",
    "clinical_review",
    "second_opinion",
    "packet_hole",
    "patient_question",
    "plan_step",
    "referral",
    "reschedule",
    "call_patient",
    "unclear_reply",
    "running_late",
    "messages_stuck",
)


def _kinds(kinds: tuple[str, ...]) -> None:
    op.drop_constraint(op.f("tasks_kind_known_check"), "tasks")
    words = ", ".join(f"'{kind}'" for kind in kinds)
    op.create_check_constraint(op.f("tasks_kind_known_check"), "tasks", f"kind IN ({words})")


def upgrade() -> None:
    _kinds(
        (
            "safety",
            "review_intake",
            "book_course",
            "ask_patient",
            "message_failed",
            "cannot_come",
            "survey_overdue",
            "clinical_review",
            "second_opinion",
            "packet_hole",
            "patient_question",
            "plan_step",
            "referral",
            "safety_form",
            "reschedule",
            "call_patient",
            "unclear_reply",
            "running_late",
            "messages_stuck",
        )
    )
    op.create_table(
        "site_certifications",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("location_id", sa.Integer(), nullable=False),
        sa.Column("program", sa.String(length=40), nullable=False),
        sa.Column("number", sa.String(length=60), nullable=False),
        sa.Column("certified_on", sa.Date(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=True),
        sa.Column("recorded_by", sa.Integer(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "expires_on IS NULL OR certified_on < expires_on", name=op.f("site_certifications_order_check")
        ),
        sa.ForeignKeyConstraint(["location_id"], ["locations.id"], name=op.f("site_certifications_location_id_fkey")),
        sa.ForeignKeyConstraint(["recorded_by"], ["staff_users.id"], name=op.f("site_certifications_recorded_by_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("site_certifications_pkey")),
    )
    op.create_index(
        "site_certifications_present_key",
        "site_certifications",
        ["location_id", "program"],
        unique=True,
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    op.create_table(
        "program_enrollments",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("program", sa.String(length=40), nullable=False),
        sa.Column("number", sa.LargeBinary(), nullable=False),
        sa.Column("enrolled_on", sa.Date(), nullable=False),
        sa.Column("recorded_by", sa.Integer(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("program_enrollments_patient_id_fkey")),
        sa.ForeignKeyConstraint(["recorded_by"], ["staff_users.id"], name=op.f("program_enrollments_recorded_by_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("program_enrollments_pkey")),
    )
    op.create_index(
        "program_enrollments_present_key",
        "program_enrollments",
        ["patient_id", "program"],
        unique=True,
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    op.create_table(
        "adverse_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("course_id", sa.BigInteger(), nullable=True),
        sa.Column("session_id", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("severity", sa.String(length=40), nullable=False),
        sa.Column("is_serious", sa.Boolean(), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.Column("recorded_by", sa.Integer(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("voided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind IN ('seizure', 'syncope', 'headache_scalp_pain', 'hearing_change', 'mania_switch', 'sedation', 'dissociation', 'respiratory_depression', 'blood_pressure', 'nausea_or_vomiting', 'other')",
            name=op.f("adverse_events_kind_known_check"),
        ),
        sa.CheckConstraint(
            "severity IN ('mild', 'moderate', 'severe')", name=op.f("adverse_events_severity_known_check")
        ),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("adverse_events_course_id_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("adverse_events_patient_id_fkey")),
        sa.ForeignKeyConstraint(["recorded_by"], ["staff_users.id"], name=op.f("adverse_events_recorded_by_fkey")),
        sa.ForeignKeyConstraint(["session_id"], ["treatment_sessions.id"], name=op.f("adverse_events_session_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("adverse_events_pkey")),
    )
    op.create_index("adverse_events_patient_idx", "adverse_events", ["patient_id", "happened_at"], unique=False)
    op.create_table(
        "motor_thresholds",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("course_id", sa.BigInteger(), nullable=False),
        sa.Column("session_id", sa.BigInteger(), nullable=False),
        sa.Column("percent", sa.SmallInteger(), nullable=False),
        sa.Column("measured_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recorded_by", sa.Integer(), nullable=False),
        sa.CheckConstraint("percent BETWEEN 1 AND 100", name=op.f("motor_thresholds_percent_check")),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("motor_thresholds_course_id_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("motor_thresholds_patient_id_fkey")),
        sa.ForeignKeyConstraint(["recorded_by"], ["staff_users.id"], name=op.f("motor_thresholds_recorded_by_fkey")),
        sa.ForeignKeyConstraint(
            ["session_id"], ["treatment_sessions.id"], name=op.f("motor_thresholds_session_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("motor_thresholds_pkey")),
    )
    op.create_index("motor_thresholds_course_idx", "motor_thresholds", ["course_id", "measured_at"], unique=False)
    op.create_table(
        "observations",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("course_id", sa.BigInteger(), nullable=False),
        sa.Column("session_id", sa.BigInteger(), nullable=False),
        sa.Column("modality", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("rules_version", sa.SmallInteger(), nullable=False),
        sa.Column("minimum_minutes", sa.SmallInteger(), nullable=False),
        sa.Column("checks", postgresql.ARRAY(sa.String(length=40)), nullable=False),
        sa.Column("ride", sa.LargeBinary(), nullable=True),
        sa.Column("decision", sa.LargeBinary(), nullable=True),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.Column("dose_mg", sa.SmallInteger(), nullable=True),
        sa.Column("lot", sa.String(length=40), nullable=True),
        sa.Column("dosed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sedation_gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("dissociation_gone_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ride_here_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stable_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stable_by", sa.Integer(), nullable=True),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("before_id", sa.BigInteger(), nullable=True),
        sa.Column("during_id", sa.BigInteger(), nullable=True),
        sa.Column("leaving_id", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.LargeBinary(), nullable=True),
        sa.Column("form_due_on", sa.Date(), nullable=True),
        sa.Column("form_filed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("form_reference", sa.LargeBinary(), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "(state IN ('watched', 'closed')) = (dosed_at IS NOT NULL)", name=op.f("observations_dosed_check")
        ),
        sa.CheckConstraint(
            "state <> 'closed' OR (before_id IS NOT NULL AND during_id IS NOT NULL AND leaving_id IS NOT NULL)",
            name=op.f("observations_three_pressures_check"),
        ),
        sa.CheckConstraint(
            "state <> 'closed' OR (left_at IS NOT NULL AND left_at >= dosed_at + make_interval(mins => minimum_minutes))",
            name=op.f("observations_watched_long_enough_check"),
        ),
        sa.CheckConstraint("state <> 'not_given' OR reason IS NOT NULL", name=op.f("observations_not_given_check")),
        sa.CheckConstraint(
            "state IN ('open', 'watched', 'closed', 'not_given')", name=op.f("observations_state_known_check")
        ),
        sa.CheckConstraint("form_filed_at IS NULL OR form_reference IS NOT NULL", name=op.f("observations_form_check")),
        sa.CheckConstraint("minimum_minutes >= 0", name=op.f("observations_minimum_check")),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("observations_course_id_fkey")),
        sa.ForeignKeyConstraint(["decided_by"], ["staff_users.id"], name=op.f("observations_decided_by_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("observations_patient_id_fkey")),
        sa.ForeignKeyConstraint(["session_id"], ["treatment_sessions.id"], name=op.f("observations_session_id_fkey")),
        sa.ForeignKeyConstraint(["stable_by"], ["staff_users.id"], name=op.f("observations_stable_by_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("observations_pkey")),
    )
    op.create_index(
        "observations_form_idx",
        "observations",
        ["form_due_on"],
        unique=False,
        postgresql_where=sa.text("form_due_on IS NOT NULL AND form_filed_at IS NULL"),
    )
    op.create_index("observations_session_key", "observations", ["session_id"], unique=True)
    op.create_table(
        "session_records",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("course_id", sa.BigInteger(), nullable=False),
        sa.Column("session_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("checks", sa.LargeBinary(), nullable=False),
        sa.Column("concerns", postgresql.ARRAY(sa.String(length=60)), nullable=False),
        sa.Column("cleared_by", sa.Integer(), nullable=True),
        sa.Column("cleared_words", sa.LargeBinary(), nullable=True),
        sa.Column("threshold_percent", sa.SmallInteger(), nullable=True),
        sa.Column("intensity_percent", sa.SmallInteger(), nullable=True),
        sa.Column("pulses", sa.Integer(), nullable=True),
        sa.Column("headache", sa.SmallInteger(), nullable=True),
        sa.Column("scalp_pain", sa.SmallInteger(), nullable=True),
        sa.Column("note", sa.LargeBinary(), nullable=True),
        sa.Column("reason", sa.LargeBinary(), nullable=True),
        sa.Column("opened_by", sa.Integer(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_by", sa.Integer(), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state <> 'given' OR (intensity_percent IS NOT NULL AND finished_at IS NOT NULL)",
            name=op.f("session_records_given_check"),
        ),
        sa.CheckConstraint("state <> 'not_given' OR reason IS NOT NULL", name=op.f("session_records_not_given_check")),
        sa.CheckConstraint("state IN ('open', 'given', 'not_given')", name=op.f("session_records_state_known_check")),
        sa.CheckConstraint(
            "headache BETWEEN 0 AND 10 AND scalp_pain BETWEEN 0 AND 10", name=op.f("session_records_pain_check")
        ),
        sa.CheckConstraint("intensity_percent BETWEEN 1 AND 200", name=op.f("session_records_intensity_check")),
        sa.ForeignKeyConstraint(["cleared_by"], ["staff_users.id"], name=op.f("session_records_cleared_by_fkey")),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("session_records_course_id_fkey")),
        sa.ForeignKeyConstraint(["finished_by"], ["staff_users.id"], name=op.f("session_records_finished_by_fkey")),
        sa.ForeignKeyConstraint(["opened_by"], ["staff_users.id"], name=op.f("session_records_opened_by_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("session_records_patient_id_fkey")),
        sa.ForeignKeyConstraint(
            ["session_id"], ["treatment_sessions.id"], name=op.f("session_records_session_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("session_records_pkey")),
    )
    op.create_index("session_records_course_idx", "session_records", ["course_id"], unique=False)
    op.create_index(
        "session_records_present_key",
        "session_records",
        ["session_id"],
        unique=True,
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    op.create_table(
        "readings",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("observation_id", sa.BigInteger(), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("moment", sa.String(length=40), nullable=False),
        sa.Column("systolic", sa.SmallInteger(), nullable=False),
        sa.Column("diastolic", sa.SmallInteger(), nullable=False),
        sa.Column("spo2", sa.SmallInteger(), nullable=True),
        sa.Column("sedation", sa.SmallInteger(), nullable=True),
        sa.Column("recorded_by", sa.Integer(), nullable=False),
        sa.Column("voided_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("sedation BETWEEN 0 AND 5", name=op.f("readings_sedation_check")),
        sa.CheckConstraint("spo2 BETWEEN 50 AND 100", name=op.f("readings_spo2_check")),
        sa.CheckConstraint(
            "systolic BETWEEN 50 AND 300 AND diastolic BETWEEN 20 AND 200 AND diastolic < systolic",
            name=op.f("readings_pressure_check"),
        ),
        sa.ForeignKeyConstraint(["observation_id"], ["observations.id"], name=op.f("readings_observation_id_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("readings_patient_id_fkey")),
        sa.ForeignKeyConstraint(["recorded_by"], ["staff_users.id"], name=op.f("readings_recorded_by_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("readings_pkey")),
    )
    op.create_index("readings_observation_idx", "readings", ["observation_id", "taken_at"], unique=False)
    op.create_table(
        "treatment_holds",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("modality", sa.String(length=40), nullable=False),
        sa.Column("code", sa.String(length=40), nullable=False),
        sa.Column("event_id", sa.BigInteger(), nullable=True),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_by", sa.Integer(), nullable=True),
        sa.Column("lifted_reason", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "(lifted_at IS NULL) = (lifted_by IS NULL)", name=op.f("treatment_holds_lifted_by_someone_check")
        ),
        sa.CheckConstraint(
            "lifted_at IS NULL OR lifted_reason IS NOT NULL", name=op.f("treatment_holds_lifted_with_a_reason_check")
        ),
        sa.ForeignKeyConstraint(["event_id"], ["adverse_events.id"], name=op.f("treatment_holds_event_id_fkey")),
        sa.ForeignKeyConstraint(["lifted_by"], ["staff_users.id"], name=op.f("treatment_holds_lifted_by_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("treatment_holds_patient_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("treatment_holds_pkey")),
    )
    op.create_index(
        "treatment_holds_open_key",
        "treatment_holds",
        ["patient_id", "modality", "code"],
        unique=True,
        postgresql_where=sa.text("lifted_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "treatment_holds_open_key", table_name="treatment_holds", postgresql_where=sa.text("lifted_at IS NULL")
    )
    op.drop_table("treatment_holds")
    op.drop_index("readings_observation_idx", table_name="readings")
    op.drop_table("readings")
    op.drop_index(
        "session_records_present_key", table_name="session_records", postgresql_where=sa.text("superseded_at IS NULL")
    )
    op.drop_index("session_records_course_idx", table_name="session_records")
    op.drop_table("session_records")
    op.drop_index("observations_session_key", table_name="observations")
    op.drop_index(
        "observations_form_idx",
        table_name="observations",
        postgresql_where=sa.text("form_due_on IS NOT NULL AND form_filed_at IS NULL"),
    )
    op.drop_table("observations")
    op.drop_index("motor_thresholds_course_idx", table_name="motor_thresholds")
    op.drop_table("motor_thresholds")
    op.drop_index("adverse_events_patient_idx", table_name="adverse_events")
    op.drop_table("adverse_events")
    op.drop_index(
        "program_enrollments_present_key",
        table_name="program_enrollments",
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    op.drop_table("program_enrollments")
    op.drop_index(
        "site_certifications_present_key",
        table_name="site_certifications",
        postgresql_where=sa.text("superseded_at IS NULL"),
    )
    op.drop_table("site_certifications")
    op.execute("DELETE FROM tasks WHERE kind = 'safety_form'")
    _kinds(KINDS)
