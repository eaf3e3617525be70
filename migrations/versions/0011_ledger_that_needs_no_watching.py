"""The ledger: lanes, what came back, answers, texts that come in, dead addresses, the clinic's own wording"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

PURPOSES = (
    "course_booked", "first_visit", "day_before", "two_hours_before", "ride_and_fasting", "weekly_digest",
    "session_moved", "session_cancelled", "freed_slot", "missed_visit", "survey_due", "survey_overdue",
    "answers_missing", "link", "on_call", "staff_digest", "authorization_ending",
)  # fmt: skip
OLD_PURPOSES = (
    "course_booked", "day_before", "two_hours_before", "weekly_digest", "session_moved", "session_cancelled",
    "survey_due", "link", "on_call",
)  # fmt: skip
NEW_KINDS = ("call_patient", "unclear_reply", "running_late", "messages_stuck")


def words(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def replace_check(table: str, name: str, condition: str) -> None:
    op.drop_constraint(op.f(f"{table}_{name}_check"), table)
    op.create_check_constraint(op.f(f"{table}_{name}_check"), table, condition)


def kinds() -> list[str]:
    """The task kinds that the table takes now, in order."""
    found = op.get_bind().scalar(
        sa.text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'tasks_kind_known_check'")
    )
    return [part for part in found.split("'") if part.replace("_", "").isalpha() and part.islower()]


def upgrade() -> None:
    add = [
        sa.Column("lane", sa.String(40), nullable=False, server_default="normal"),
        sa.Column("location_id", sa.Integer(), nullable=True),
        sa.Column("staff_id", sa.Integer(), nullable=True),
        sa.Column("again_of", sa.BigInteger(), nullable=True),
        sa.Column("tried_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("unsure_of", sa.String(40), nullable=True),
        sa.Column("receipt", sa.String(40), nullable=True),
        sa.Column("receipt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("receipt_code", sa.String(40), nullable=True),
        sa.Column("answer", sa.String(40), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
    ]
    for column in add:
        op.add_column("messages", column)
    op.create_foreign_key(op.f("messages_location_id_fkey"), "messages", "locations", ["location_id"], ["id"])
    op.create_foreign_key(op.f("messages_staff_id_fkey"), "messages", "staff_users", ["staff_id"], ["id"])
    op.create_foreign_key(op.f("messages_again_of_fkey"), "messages", "messages", ["again_of"], ["id"])
    replace_check("messages", "purpose_known", words("purpose", PURPOSES))
    replace_check("messages", "channel", "channel IN ('email', 'sms', 'voice')")
    op.execute("UPDATE messages SET lane = 'urgent' WHERE purpose IN ('link', 'on_call')")
    op.execute(
        "UPDATE messages SET purpose = 'survey_overdue' WHERE purpose = 'survey_due' AND occurrence NOT LIKE '%.0'"
    )
    op.execute("UPDATE messages SET lane = 'bulk' WHERE purpose IN ('weekly_digest', 'survey_due', 'survey_overdue')")
    op.execute("UPDATE messages SET ended_at = coalesce(sent_at, created_at) WHERE state NOT IN ('due', 'sending')")
    op.execute(
        """
        UPDATE messages m SET location_id = coalesce(
            (SELECT c.location_id FROM courses c WHERE c.id = m.course_id),
            (SELECT t.location_id FROM tasks t WHERE t.id = m.task_id),
            (SELECT p.preferred_location_id FROM patients p WHERE p.id = m.patient_id))
        """
    )
    op.alter_column("messages", "lane", server_default=None)
    checks = {
        "lane_known": words("lane", ("urgent", "normal", "bulk")),
        "receipt_known": words("receipt", ("on_its_way", "delivered", "undelivered", "bounced")),
        "answer_known": words("answer", ("coming", "late", "cannot")),
        "receipt_of_sent": "receipt IS NULL OR state = 'sent'",
    }
    for name, condition in checks.items():
        op.create_check_constraint(op.f(f"messages_{name}_check"), "messages", condition)
    due, failed = sa.text("state = 'due'"), sa.text("state = 'failed'")
    op.create_index("messages_lane_idx", "messages", ["lane", "deadline"], postgresql_where=due)
    op.create_index("messages_failed_idx", "messages", ["deadline"], postgresql_where=failed)
    op.create_index("messages_ended_idx", "messages", ["ended_at"])
    op.create_index("messages_location_idx", "messages", ["location_id", "id"])
    known = sa.text("provider_id IS NOT NULL")
    op.create_index("messages_provider_idx", "messages", ["provider_id"], postgresql_where=known)
    _make_tables()
    _widen_others()


def _make_tables() -> None:
    op.create_table(
        "inbound_texts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("provider", sa.String(40), nullable=False),
        sa.Column("provider_id", sa.String(120), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=True),
        sa.Column("location_id", sa.Integer(), nullable=True),
        sa.Column("message_id", sa.BigInteger(), nullable=True),
        sa.Column("sender", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("meaning", sa.String(40), nullable=False),
        sa.Column("said", sa.LargeBinary(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("inbound_texts_patient_id_fkey")),
        sa.ForeignKeyConstraint(["location_id"], ["locations.id"], name=op.f("inbound_texts_location_id_fkey")),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name=op.f("inbound_texts_message_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("inbound_texts_pkey")),
    )
    op.create_index("inbound_texts_provider_key", "inbound_texts", ["provider_id"], unique=True)
    op.create_index("inbound_texts_patient_idx", "inbound_texts", ["patient_id", "received_at"])
    op.create_index("inbound_texts_location_idx", "inbound_texts", ["location_id", "id"])
    op.create_table(
        "dead_addresses",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("channel", sa.String(40), nullable=False),
        sa.Column("address_blind", sa.LargeBinary(32), nullable=False),
        sa.Column("reason", sa.String(200), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("cleared_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("channel IN ('email', 'sms')", name=op.f("dead_addresses_channel_check")),
        sa.ForeignKeyConstraint(["message_id"], ["messages.id"], name=op.f("dead_addresses_message_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("dead_addresses_pkey")),
    )
    present = sa.text("cleared_at IS NULL")
    op.create_index(
        "dead_addresses_present_key",
        "dead_addresses",
        ["channel", "address_blind"],
        unique=True,
        postgresql_where=present,
    )
    op.create_table(
        "message_texts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("key", sa.String(40), nullable=False),
        sa.Column("language", sa.String(5), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("parts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("written_by", sa.String(40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("language IN ('en', 'es')", name=op.f("message_texts_language_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("message_texts_pkey")),
    )
    op.create_index("message_texts_version_key", "message_texts", ["key", "language", "version"], unique=True)
    op.create_index(
        "message_texts_present_key",
        "message_texts",
        ["key", "language"],
        unique=True,
        postgresql_where=sa.text("superseded_at IS NULL"),
    )


def _widen_others() -> None:
    op.add_column(
        "staff_users", sa.Column("morning_mail", sa.Boolean(), nullable=False, server_default=sa.text("true"))
    )
    replace_check("channel_consents", "channel_known", "channel IN ('email', 'sms', 'voice')")
    replace_check("tasks", "kind_known", words("kind", (*kinds(), *NEW_KINDS)))
    op.create_index("courses_created_idx", "courses", ["created_at"])
    op.create_index("intakes_left_idx", "intakes", ["saved_at"], postgresql_where=sa.text("state = 'open'"))
    missed = sa.text("state = 'no_show'")
    op.create_index("treatment_sessions_missed_idx", "treatment_sessions", ["ended_at"], postgresql_where=missed)


def downgrade() -> None:
    op.drop_index("treatment_sessions_missed_idx", "treatment_sessions")
    op.drop_index("intakes_left_idx", "intakes")
    op.drop_index("courses_created_idx", "courses")
    op.execute(f"DELETE FROM tasks WHERE {words('kind', NEW_KINDS)}")  # noqa: S608 - our own words
    replace_check("tasks", "kind_known", words("kind", tuple(kind for kind in kinds() if kind not in NEW_KINDS)))
    op.execute("DELETE FROM channel_consents WHERE channel = 'voice'")
    replace_check("channel_consents", "channel_known", "channel IN ('email', 'sms')")
    op.drop_column("staff_users", "morning_mail")
    for table in ("message_texts", "dead_addresses", "inbound_texts"):
        op.drop_table(table)
    op.execute("UPDATE messages SET purpose = 'survey_due' WHERE purpose = 'survey_overdue'")
    op.execute(f"DELETE FROM messages WHERE channel = 'voice' OR NOT {words('purpose', OLD_PURPOSES)}")  # noqa: S608
    for name in ("provider", "location", "ended", "failed", "lane"):
        op.drop_index(f"messages_{name}_idx", "messages")
    for name in ("receipt_of_sent", "answer_known", "receipt_known", "lane_known"):
        op.drop_constraint(op.f(f"messages_{name}_check"), "messages")
    replace_check("messages", "channel", "channel IN ('email', 'sms')")
    replace_check("messages", "purpose_known", words("purpose", OLD_PURPOSES))
    for name in (
        "answered_at", "answer", "receipt_code", "receipt_at", "receipt", "unsure_of", "ended_at", "tried_at",
        "again_of", "staff_id", "location_id", "lane",
    ):  # fmt: skip
        op.drop_column("messages", name)
