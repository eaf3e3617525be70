"""One table for every appointment: visits with a staff member, rooms, holds, re-plans"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

HOLDS_PLACE = "state IN ('held', 'booked', 'confirmed', 'arrived', 'completed')"
HELD_PLACE_BEFORE = "state IN ('booked', 'confirmed', 'arrived', 'completed')"
STATES = "state IN ('held', 'booked', 'confirmed', 'arrived', 'completed', 'cancelled', 'no_show')"
STATES_BEFORE = "state IN ('booked', 'confirmed', 'arrived', 'completed', 'cancelled', 'no_show')"
# constraint, column, type of its range, until when the thing is held
EXCLUSIVE = (
    ("treatment_sessions_device_overlap", "device_id", "int4range", "device_until"),
    ("treatment_sessions_patient_overlap", "patient_id", "int8range", "ends_at"),
    ("treatment_sessions_spacing", "course_id", "int8range", "spaced_until"),
)
EXCLUSIVE_NEW = (
    ("treatment_sessions_room_overlap", "room_id", "int4range", "device_until"),
    ("treatment_sessions_staff_overlap", "staff_id", "int4range", "ends_at"),
)
KIND = (
    "CASE WHEN kind IN ('consult', 'medication', 'therapy')"
    " THEN need = 'person' AND staff_id IS NOT NULL AND device_id IS NULL AND course_id IS NULL"
    " ELSE need <> 'person' AND staff_id IS NULL AND device_id IS NOT NULL AND mode = 'in_person'"
    " AND (course_id IS NOT NULL OR state = 'held') END"
)
CHECKS = {
    "treatment_sessions_kind_check": KIND,
    "treatment_sessions_held_check": "(state = 'held') = (hold_id IS NOT NULL)",
    "treatment_sessions_video_needs_no_room_check": "mode <> 'video' OR room_id IS NULL",
    "treatment_sessions_patient_state_check": "patient_state IS NULL OR patient_state ~ '^[A-Z]{2}$'",
    "treatment_sessions_video_records_the_state_check": "mode <> 'video' OR state <> 'completed' OR patient_state IS NOT NULL",
    "treatment_sessions_mode_known_check": "mode IN ('in_person', 'video')",
}


def exclude(name: str, column: str, range_type: str, until: str, where: str) -> None:
    op.execute(
        f"ALTER TABLE treatment_sessions ADD CONSTRAINT {name} EXCLUDE USING gist"
        f" ({range_type}({column}, {column}, '[]') WITH &&, tstzrange(starts_at, {until}, '[)') WITH &&) WHERE ({where})"
    )


def check(name: str, rule: str) -> None:
    op.execute(f"ALTER TABLE treatment_sessions ADD CONSTRAINT {name} CHECK ({rule})")


def drop(name: str) -> None:
    op.execute(f"ALTER TABLE treatment_sessions DROP CONSTRAINT {name}")


def upgrade() -> None:
    op.create_table(
        "rooms",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("location_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("is_shared", sa.Boolean(), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["location_id"], ["locations.id"], name=op.f("rooms_location_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("rooms_pkey")),
        sa.UniqueConstraint("location_id", "name", name=op.f("rooms_location_id_name_key")),
    )
    op.create_table(
        "staff_absences",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("staff_absences_order_check")),
        sa.ForeignKeyConstraint(["user_id"], ["staff_users.id"], name=op.f("staff_absences_user_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("staff_absences_pkey")),
    )
    with op.batch_alter_table("staff_absences", schema=None) as batch_op:
        batch_op.create_index("staff_absences_user_idx", ["user_id", "ends_at"], unique=False)

    op.create_table(
        "holds",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.String(length=40), nullable=False),
        sa.Column("proposal_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(length=40), nullable=True),
        sa.CheckConstraint("purpose IN ('proposal', 'offer', 'change')", name=op.f("holds_purpose_known_check")),
        sa.CheckConstraint("created_at < expires_at", name=op.f("holds_order_check")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("holds_patient_id_fkey")),
        sa.ForeignKeyConstraint(["proposal_id"], ["course_proposals.id"], name=op.f("holds_proposal_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("holds_pkey")),
    )
    with op.batch_alter_table("holds", schema=None) as batch_op:
        batch_op.create_index(
            "holds_expires_idx", ["expires_at"], unique=False, postgresql_where=sa.text("ended_at IS NULL")
        )
        batch_op.create_index(
            "holds_patient_idx", ["patient_id"], unique=False, postgresql_where=sa.text("ended_at IS NULL")
        )
        batch_op.create_index(
            "holds_proposal_key", ["proposal_id"], unique=True, postgresql_where=sa.text("ended_at IS NULL")
        )

    op.create_table(
        "schedule_changes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("course_id", sa.BigInteger(), nullable=True),
        sa.Column("outage_id", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("moves", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answer_by", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state IN ('told', 'asked')) = (answered_at IS NULL)", name=op.f("schedule_changes_answered_check")
        ),
        sa.CheckConstraint("kind IN ('device', 'person', 'site')", name=op.f("schedule_changes_kind_known_check")),
        sa.CheckConstraint(
            "state IN ('told', 'asked', 'accepted', 'declined', 'lapsed')",
            name=op.f("schedule_changes_state_known_check"),
        ),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("schedule_changes_course_id_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("schedule_changes_patient_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("schedule_changes_pkey")),
    )
    with op.batch_alter_table("schedule_changes", schema=None) as batch_op:
        batch_op.create_index("schedule_changes_created_idx", ["created_at"], unique=False)
        batch_op.create_index(
            "schedule_changes_open_idx",
            ["answer_by"],
            unique=False,
            postgresql_where=sa.text("state IN ('told', 'asked')"),
        )
        batch_op.create_index("schedule_changes_outage_idx", ["outage_id"], unique=False)
        batch_op.create_index("schedule_changes_patient_idx", ["patient_id"], unique=False)

    op.create_table(
        "rule_overrides",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("session_id", sa.BigInteger(), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.LargeBinary(), nullable=False),
        sa.Column("actor_kind", sa.String(length=40), nullable=False),
        sa.Column("actor_key", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("rule_overrides_patient_id_fkey")),
        sa.ForeignKeyConstraint(["session_id"], ["treatment_sessions.id"], name=op.f("rule_overrides_session_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("rule_overrides_pkey")),
    )
    with op.batch_alter_table("rule_overrides", schema=None) as batch_op:
        batch_op.create_index("rule_overrides_session_idx", ["session_id"], unique=False)

    with op.batch_alter_table("devices", schema=None) as batch_op:
        batch_op.add_column(sa.Column("room_id", sa.Integer(), nullable=True))
        batch_op.create_index(batch_op.f("devices_room_id_idx"), ["room_id"], unique=False)
        batch_op.create_foreign_key(batch_op.f("devices_room_id_fkey"), "rooms", ["room_id"], ["id"])

    with op.batch_alter_table("staff_users", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "licensed_in", postgresql.ARRAY(sa.String(length=2)), server_default=sa.text("'{}'"), nullable=False
            )
        )

    with op.batch_alter_table("treatment_sessions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("room_id", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("staff_id", sa.Integer(), nullable=True))
        batch_op.add_column(
            sa.Column("mode", sa.String(length=40), server_default=sa.text("'in_person'"), nullable=False)
        )
        batch_op.add_column(sa.Column("patient_state", sa.String(length=2), nullable=True))
        batch_op.add_column(sa.Column("hold_id", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("change_id", sa.BigInteger(), nullable=True))
        batch_op.alter_column("course_id", existing_type=sa.BIGINT(), nullable=True)
        batch_op.alter_column("device_id", existing_type=sa.INTEGER(), nullable=True)
        batch_op.create_index(
            "treatment_sessions_change_idx",
            ["change_id"],
            unique=False,
            postgresql_where=sa.text("change_id IS NOT NULL"),
        )
        batch_op.create_index(
            "treatment_sessions_hold_idx", ["hold_id"], unique=False, postgresql_where=sa.text("hold_id IS NOT NULL")
        )
        batch_op.create_index(
            "treatment_sessions_room_idx",
            ["room_id", "starts_at"],
            unique=False,
            postgresql_where=sa.text("room_id IS NOT NULL"),
        )
        batch_op.create_index(
            "treatment_sessions_staff_idx",
            ["staff_id", "starts_at"],
            unique=False,
            postgresql_where=sa.text("staff_id IS NOT NULL"),
        )
        batch_op.create_foreign_key(batch_op.f("treatment_sessions_staff_id_fkey"), "staff_users", ["staff_id"], ["id"])
        batch_op.create_foreign_key(
            batch_op.f("treatment_sessions_change_id_fkey"), "schedule_changes", ["change_id"], ["id"]
        )
        batch_op.create_foreign_key(batch_op.f("treatment_sessions_hold_id_fkey"), "holds", ["hold_id"], ["id"])
        batch_op.create_foreign_key(batch_op.f("treatment_sessions_room_id_fkey"), "rooms", ["room_id"], ["id"])

    op.execute("SET LOCAL statement_timeout = '30min'")  # a grown calendar's indexes are built anew
    for name, column, range_type, until in EXCLUSIVE:
        drop(name)
        exclude(name, column, range_type, until, f"{HOLDS_PLACE} AND {column} IS NOT NULL")
    for name, column, range_type, until in EXCLUSIVE_NEW:
        exclude(name, column, range_type, until, f"{HOLDS_PLACE} AND {column} IS NOT NULL")
    drop("treatment_sessions_state_known_check")
    check("treatment_sessions_state_known_check", STATES)
    drop("treatment_sessions_need_check")
    check("treatment_sessions_need_check", "need IN ('tms', 'map', 'obs', 'person')")
    for name, rule in CHECKS.items():
        check(name, rule)


def downgrade() -> None:
    # a calendar that holds visits cannot go back: they have no course and no device
    op.execute("SET LOCAL statement_timeout = '30min'")
    for name in CHECKS:
        drop(name)
    drop("treatment_sessions_state_known_check")
    check("treatment_sessions_state_known_check", STATES_BEFORE)
    drop("treatment_sessions_need_check")
    check("treatment_sessions_need_check", "need IN ('tms', 'map', 'obs')")
    for name, *_ in EXCLUSIVE_NEW:
        drop(name)
    for name, column, range_type, until in EXCLUSIVE:
        drop(name)
        exclude(name, column, range_type, until, HELD_PLACE_BEFORE)
    with op.batch_alter_table("treatment_sessions", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("treatment_sessions_room_id_fkey"), type_="foreignkey")
        batch_op.drop_constraint(batch_op.f("treatment_sessions_hold_id_fkey"), type_="foreignkey")
        batch_op.drop_constraint(batch_op.f("treatment_sessions_change_id_fkey"), type_="foreignkey")
        batch_op.drop_constraint(batch_op.f("treatment_sessions_staff_id_fkey"), type_="foreignkey")
        batch_op.drop_index("treatment_sessions_staff_idx", postgresql_where=sa.text("staff_id IS NOT NULL"))
        batch_op.drop_index("treatment_sessions_room_idx", postgresql_where=sa.text("room_id IS NOT NULL"))
        batch_op.drop_index("treatment_sessions_hold_idx", postgresql_where=sa.text("hold_id IS NOT NULL"))
        batch_op.drop_index("treatment_sessions_change_idx", postgresql_where=sa.text("change_id IS NOT NULL"))
        batch_op.alter_column("device_id", existing_type=sa.INTEGER(), nullable=False)
        batch_op.alter_column("course_id", existing_type=sa.BIGINT(), nullable=False)
        batch_op.drop_column("change_id")
        batch_op.drop_column("hold_id")
        batch_op.drop_column("patient_state")
        batch_op.drop_column("mode")
        batch_op.drop_column("staff_id")
        batch_op.drop_column("room_id")

    with op.batch_alter_table("staff_users", schema=None) as batch_op:
        batch_op.drop_column("licensed_in")

    with op.batch_alter_table("devices", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("devices_room_id_fkey"), type_="foreignkey")
        batch_op.drop_index(batch_op.f("devices_room_id_idx"))
        batch_op.drop_column("room_id")

    with op.batch_alter_table("rule_overrides", schema=None) as batch_op:
        batch_op.drop_index("rule_overrides_session_idx")

    op.drop_table("rule_overrides")
    with op.batch_alter_table("schedule_changes", schema=None) as batch_op:
        batch_op.drop_index("schedule_changes_patient_idx")
        batch_op.drop_index("schedule_changes_outage_idx")
        batch_op.drop_index("schedule_changes_open_idx", postgresql_where=sa.text("state IN ('told', 'asked')"))
        batch_op.drop_index("schedule_changes_created_idx")

    op.drop_table("schedule_changes")
    with op.batch_alter_table("holds", schema=None) as batch_op:
        batch_op.drop_index("holds_proposal_key", postgresql_where=sa.text("ended_at IS NULL"))
        batch_op.drop_index("holds_patient_idx", postgresql_where=sa.text("ended_at IS NULL"))
        batch_op.drop_index("holds_expires_idx", postgresql_where=sa.text("ended_at IS NULL"))

    op.drop_table("holds")
    with op.batch_alter_table("staff_absences", schema=None) as batch_op:
        batch_op.drop_index("staff_absences_user_idx")

    op.drop_table("staff_absences")
    op.drop_table("rooms")
