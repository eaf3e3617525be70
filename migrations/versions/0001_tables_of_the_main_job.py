"""Tables of the main job"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(sa.schema.CreateSequence(sa.Sequence("patient_record_numbers", start=10001)))
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "role IN ('front_desk', 'operator', 'nurse', 'therapist', 'prescriber', 'manager', 'service')",
            name=op.f("api_tokens_role_known_check"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("api_tokens_pkey")),
        sa.UniqueConstraint("token_hash", name=op.f("api_tokens_token_hash_key")),
    )
    op.create_table(
        "audit_events",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_kind", sa.String(length=40), nullable=False),
        sa.Column("actor_key", sa.String(length=40), nullable=False),
        sa.Column("action", sa.String(length=40), nullable=False),
        sa.Column("entity", sa.String(length=40), nullable=False),
        sa.Column("entity_id", sa.String(length=40), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=True),
        sa.Column("detail", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("reason", sa.LargeBinary(), nullable=True),
        sa.Column("content_hash", sa.LargeBinary(length=32), nullable=False),
        sa.CheckConstraint(
            "actor_kind IN ('staff', 'patient', 'service', 'system')", name=op.f("audit_events_actor_kind_known_check")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("audit_events_pkey")),
    )
    with op.batch_alter_table("audit_events", schema=None) as batch_op:
        batch_op.create_index("audit_events_entity_idx", ["entity", "entity_id"], unique=False)
        batch_op.create_index("audit_events_patient_idx", ["patient_id"], unique=False)

    op.create_table(
        "clinic_profile",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("short_name", sa.String(length=30), nullable=False),
        sa.Column("slogan", sa.String(length=300), nullable=False),
        sa.Column("phone", sa.String(length=20), nullable=False),
        sa.Column("promises_safety_call", sa.Boolean(), nullable=False),
        sa.Column("is_demo", sa.Boolean(), nullable=False),
        sa.CheckConstraint("id = 1", name=op.f("clinic_profile_one_row_check")),
        sa.PrimaryKeyConstraint("id", name=op.f("clinic_profile_pkey")),
    )
    op.create_table(
        "heartbeats",
        sa.Column("part", sa.String(length=20), nullable=False),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("part", name=op.f("heartbeats_pkey")),
    )
    op.create_table(
        "locations",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("slug", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("address", sa.String(length=300), nullable=False),
        sa.Column("zip_code", sa.String(length=10), nullable=False),
        sa.Column("latitude", sa.Numeric(precision=8, scale=5, asdecimal=False), nullable=True),
        sa.Column("longitude", sa.Numeric(precision=8, scale=5, asdecimal=False), nullable=True),
        sa.Column("tz", sa.String(length=60), nullable=False),
        sa.Column("phone", sa.String(length=20), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("chairs_per_observer", sa.SmallInteger(), nullable=False),
        sa.Column("schedule_version", sa.Integer(), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("locations_pkey")),
        sa.UniqueConstraint("slug", name=op.f("locations_slug_key")),
    )
    op.create_table(
        "rule_versions",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("version", sa.String(length=20), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("first_used_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "kind IN ('ruleset', 'adequacy', 'policy', 'drugs', 'screens', 'options')",
            name=op.f("rule_versions_kind_known_check"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("rule_versions_pkey")),
    )
    with op.batch_alter_table("rule_versions", schema=None) as batch_op:
        batch_op.create_index("rule_versions_version_key", ["kind", "key", "version"], unique=True)

    op.create_table(
        "staff_roles",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("description", sa.String(length=200), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("staff_roles_pkey")),
        sa.UniqueConstraint("name", name=op.f("staff_roles_name_key")),
    )
    op.create_table(
        "staff_users",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("email", sa.String(length=255), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("password", sa.String(length=255), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("fs_uniquifier", sa.String(length=64), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tf_primary_method", sa.String(length=64), nullable=True),
        sa.Column("tf_totp_secret", sa.LargeBinary(), nullable=True),
        sa.Column("skills", postgresql.ARRAY(sa.String(length=10)), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("staff_users_pkey")),
        sa.UniqueConstraint("email", name=op.f("staff_users_email_key")),
        sa.UniqueConstraint("fs_uniquifier", name=op.f("staff_users_fs_uniquifier_key")),
    )
    op.create_table(
        "closures",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("location_id", sa.Integer(), nullable=False),
        sa.Column("on_date", sa.Date(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.ForeignKeyConstraint(["location_id"], ["locations.id"], name=op.f("closures_location_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("closures_pkey")),
        sa.UniqueConstraint("location_id", "on_date", name=op.f("closures_location_id_on_date_key")),
    )
    op.create_table(
        "devices",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("location_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=60), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("protocols", postgresql.ARRAY(sa.String(length=60)), nullable=False),
        sa.Column("turnover_minutes", sa.SmallInteger(), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('tms', 'chair')", name=op.f("devices_kind_known_check")),
        sa.CheckConstraint("turnover_minutes BETWEEN 0 AND 60", name=op.f("devices_turnover_check")),
        sa.ForeignKeyConstraint(["location_id"], ["locations.id"], name=op.f("devices_location_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("devices_pkey")),
        sa.UniqueConstraint("location_id", "name", name=op.f("devices_location_id_name_key")),
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("token_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=True),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["api_tokens.id"], name=op.f("idempotency_keys_token_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("idempotency_keys_pkey")),
    )
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.create_index("idempotency_keys_created_idx", ["created_at"], unique=False)
        batch_op.create_index("idempotency_keys_key_key", ["token_id", "key"], unique=True)

    op.create_table(
        "opening_hours",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("location_id", sa.Integer(), nullable=False),
        sa.Column("weekday", sa.SmallInteger(), nullable=False),
        sa.Column("opens", sa.Time(), nullable=False),
        sa.Column("closes", sa.Time(), nullable=False),
        sa.CheckConstraint("opens < closes", name=op.f("opening_hours_order_check")),
        sa.CheckConstraint("weekday BETWEEN 0 AND 6", name=op.f("opening_hours_weekday_check")),
        sa.ForeignKeyConstraint(["location_id"], ["locations.id"], name=op.f("opening_hours_location_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("opening_hours_pkey")),
        sa.UniqueConstraint(
            "location_id", "weekday", "opens", name=op.f("opening_hours_location_id_weekday_opens_key")
        ),
    )
    op.create_table(
        "option_notes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("option", sa.String(length=40), nullable=False),
        sa.Column("field", sa.String(length=40), nullable=False),
        sa.Column("language", sa.String(length=5), nullable=False),
        sa.Column("text", sa.String(length=2000), nullable=False),
        sa.Column("source", sa.String(length=300), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("edited_by", sa.Integer(), nullable=False),
        sa.Column("edited_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["edited_by"], ["staff_users.id"], name=op.f("option_notes_edited_by_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("option_notes_pkey")),
    )
    with op.batch_alter_table("option_notes", schema=None) as batch_op:
        batch_op.create_index(
            "option_notes_present_key",
            ["option", "field", "language"],
            unique=True,
            postgresql_where=sa.text("superseded_at IS NULL"),
        )

    op.create_table(
        "patients",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("record_number", sa.String(length=20), nullable=False),
        sa.Column("given_name", sa.LargeBinary(), nullable=False),
        sa.Column("family_name", sa.LargeBinary(), nullable=False),
        sa.Column("initials", sa.String(length=8), nullable=False),
        sa.Column("birth_date", sa.LargeBinary(), nullable=False),
        sa.Column("email", sa.LargeBinary(), nullable=True),
        sa.Column("email_blind", sa.LargeBinary(length=32), nullable=True),
        sa.Column("phone", sa.LargeBinary(), nullable=True),
        sa.Column("phone_blind", sa.LargeBinary(length=32), nullable=True),
        sa.Column("language", sa.String(length=5), nullable=False),
        sa.Column("tz", sa.String(length=60), nullable=False),
        sa.Column("message_style", sa.String(length=40), nullable=False),
        sa.Column("payer", sa.LargeBinary(), nullable=True),
        sa.Column("preferred_location_id", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("language IN ('en', 'es')", name=op.f("patients_language_check")),
        sa.CheckConstraint("message_style IN ('digest', 'each')", name=op.f("patients_message_style_known_check")),
        sa.ForeignKeyConstraint(
            ["preferred_location_id"], ["locations.id"], name=op.f("patients_preferred_location_id_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("patients_pkey")),
        sa.UniqueConstraint("record_number", name=op.f("patients_record_number_key")),
    )
    with op.batch_alter_table("patients", schema=None) as batch_op:
        batch_op.create_index("patients_email_blind_idx", ["email_blind"], unique=False)
        batch_op.create_index("patients_initials_idx", ["initials"], unique=False)
        batch_op.create_index("patients_phone_blind_idx", ["phone_blind"], unique=False)

    op.create_table(
        "policy_verifications",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("policy", sa.String(length=80), nullable=False),
        sa.Column("version", sa.String(length=20), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("is_on", sa.Boolean(), nullable=False),
        sa.Column("verified_on", sa.Date(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=True),
        sa.Column("verified_by", sa.Integer(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["verified_by"], ["staff_users.id"], name=op.f("policy_verifications_verified_by_fkey")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("policy_verifications_pkey")),
    )
    with op.batch_alter_table("policy_verifications", schema=None) as batch_op:
        batch_op.create_index(
            "policy_verifications_present_key",
            ["policy"],
            unique=True,
            postgresql_where=sa.text("superseded_at IS NULL"),
        )

    op.create_table(
        "staff_locations",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("location_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["location_id"], ["locations.id"], name=op.f("staff_locations_location_id_fkey")),
        sa.ForeignKeyConstraint(["user_id"], ["staff_users.id"], name=op.f("staff_locations_user_id_fkey")),
        sa.PrimaryKeyConstraint("user_id", "location_id", name=op.f("staff_locations_pkey")),
    )
    op.create_table(
        "staff_shifts",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("location_id", sa.Integer(), nullable=False),
        sa.Column("weekday", sa.SmallInteger(), nullable=False),
        sa.Column("starts", sa.Time(), nullable=False),
        sa.Column("ends", sa.Time(), nullable=False),
        sa.Column("break_starts", sa.Time(), nullable=True),
        sa.Column("break_ends", sa.Time(), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_until", sa.Date(), nullable=True),
        sa.CheckConstraint("starts < ends", name=op.f("staff_shifts_order_check")),
        sa.CheckConstraint("weekday BETWEEN 0 AND 6", name=op.f("staff_shifts_weekday_check")),
        sa.ForeignKeyConstraint(["location_id"], ["locations.id"], name=op.f("staff_shifts_location_id_fkey")),
        sa.ForeignKeyConstraint(["user_id"], ["staff_users.id"], name=op.f("staff_shifts_user_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("staff_shifts_pkey")),
    )
    with op.batch_alter_table("staff_shifts", schema=None) as batch_op:
        batch_op.create_index("staff_shifts_location_idx", ["location_id"], unique=False)
        batch_op.create_index(
            "staff_shifts_one_place_key",
            ["user_id", "weekday", "starts"],
            unique=True,
            postgresql_where=sa.text("valid_until IS NULL"),
        )

    op.create_table(
        "staff_user_roles",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("role_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["role_id"], ["staff_roles.id"], name=op.f("staff_user_roles_role_id_fkey")),
        sa.ForeignKeyConstraint(["user_id"], ["staff_users.id"], name=op.f("staff_user_roles_user_id_fkey")),
        sa.PrimaryKeyConstraint("user_id", "role_id", name=op.f("staff_user_roles_pkey")),
    )
    op.create_table(
        "access_links",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("purpose", sa.String(length=40), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=True),
        sa.Column("intake_id", sa.BigInteger(), nullable=True),
        sa.Column("survey_id", sa.BigInteger(), nullable=True),
        sa.Column("session_id", sa.BigInteger(), nullable=True),
        sa.Column("ask_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("spent_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("purpose <> 'ask' OR ask_id IS NOT NULL", name=op.f("access_links_ask_check")),
        sa.CheckConstraint("purpose <> 'survey' OR survey_id IS NOT NULL", name=op.f("access_links_survey_check")),
        sa.CheckConstraint("purpose <> 'visit' OR session_id IS NOT NULL", name=op.f("access_links_visit_check")),
        sa.CheckConstraint(
            "purpose IN ('intake', 'sign_in', 'survey', 'visit', 'ask')", name=op.f("access_links_purpose_known_check")
        ),
        sa.CheckConstraint(
            "patient_id IS NOT NULL OR intake_id IS NOT NULL", name=op.f("access_links_names_someone_check")
        ),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("access_links_patient_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("access_links_pkey")),
        sa.UniqueConstraint("token_hash", name=op.f("access_links_token_hash_key")),
    )
    with op.batch_alter_table("access_links", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("access_links_patient_id_idx"), ["patient_id"], unique=False)

    op.create_table(
        "channel_consents",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("channel IN ('email', 'sms')", name=op.f("channel_consents_channel_known_check")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("channel_consents_patient_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("channel_consents_pkey")),
    )
    with op.batch_alter_table("channel_consents", schema=None) as batch_op:
        batch_op.create_index(
            "channel_consents_present_key",
            ["patient_id", "channel"],
            unique=True,
            postgresql_where=sa.text("superseded_at IS NULL"),
        )

    op.create_table(
        "course_proposals",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("protocol", sa.String(length=60), nullable=False),
        sa.Column("request", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("plan", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("course_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("course_proposals_patient_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("course_proposals_pkey")),
    )
    with op.batch_alter_table("course_proposals", schema=None) as batch_op:
        batch_op.create_index("course_proposals_expires_idx", ["expires_at"], unique=False)

    op.create_table(
        "device_downtimes",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.CheckConstraint("starts_at < ends_at", name=op.f("device_downtimes_order_check")),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("device_downtimes_device_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("device_downtimes_pkey")),
    )
    with op.batch_alter_table("device_downtimes", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("device_downtimes_device_id_idx"), ["device_id"], unique=False)

    op.create_table(
        "intakes",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("language", sa.String(length=5), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("record", sa.LargeBinary(), nullable=True),
        sa.Column("base_record", sa.LargeBinary(), nullable=True),
        sa.Column("corrects_id", sa.BigInteger(), nullable=True),
        sa.Column("entered_by", sa.Integer(), nullable=True),
        sa.Column("reason", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("state <> 'dropped' OR entered_by IS NOT NULL", name=op.f("intakes_dropped_by_staff_check")),
        sa.CheckConstraint(
            "state IN ('open', 'dropped') OR (submitted_at IS NOT NULL AND record IS NOT NULL AND patient_id IS NOT NULL)",
            name=op.f("intakes_sent_whole_check"),
        ),
        sa.CheckConstraint(
            "state IN ('open', 'submitted', 'superseded', 'dropped')", name=op.f("intakes_state_known_check")
        ),
        sa.CheckConstraint(
            "corrects_id IS NULL OR reason IS NOT NULL", name=op.f("intakes_correction_has_reason_check")
        ),
        sa.ForeignKeyConstraint(["corrects_id"], ["intakes.id"], name=op.f("intakes_corrects_id_fkey")),
        sa.ForeignKeyConstraint(["entered_by"], ["staff_users.id"], name=op.f("intakes_entered_by_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("intakes_patient_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("intakes_pkey")),
    )
    with op.batch_alter_table("intakes", schema=None) as batch_op:
        batch_op.create_index("intakes_patient_idx", ["patient_id"], unique=False)
        batch_op.create_index(
            "intakes_staff_open_key",
            ["patient_id"],
            unique=True,
            postgresql_where=sa.text("state = 'open' AND entered_by IS NOT NULL"),
        )

    op.create_table(
        "link_requests",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("purpose", sa.String(length=40), nullable=False),
        sa.Column("intake_id", sa.BigInteger(), nullable=True),
        sa.Column("survey_id", sa.BigInteger(), nullable=True),
        sa.Column("session_id", sa.BigInteger(), nullable=True),
        sa.Column("ask_id", sa.BigInteger(), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "purpose IN ('intake', 'sign_in', 'survey', 'visit', 'ask')", name=op.f("link_requests_purpose_known_check")
        ),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("link_requests_patient_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("link_requests_pkey")),
    )
    with op.batch_alter_table("link_requests", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("link_requests_patient_id_idx"), ["patient_id"], unique=False)
        batch_op.create_index("link_requests_requested_idx", ["requested_at"], unique=False)

    op.create_table(
        "messages",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("reference", sa.Uuid(), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=True),
        sa.Column("recipient", sa.LargeBinary(), nullable=True),
        sa.Column("recipient_key", sa.String(length=60), nullable=False),
        sa.Column("purpose", sa.String(length=40), nullable=False),
        sa.Column("occurrence", sa.String(length=80), nullable=False),
        sa.Column("channel", sa.String(length=40), nullable=False),
        sa.Column("session_id", sa.BigInteger(), nullable=True),
        sa.Column("course_id", sa.BigInteger(), nullable=True),
        sa.Column("survey_id", sa.BigInteger(), nullable=True),
        sa.Column("task_id", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("provider", sa.String(length=40), nullable=True),
        sa.Column("provider_id", sa.String(length=120), nullable=True),
        sa.Column("failure", sa.String(length=200), nullable=True),
        sa.Column("wording", sa.String(length=20), nullable=True),
        sa.Column("subject", sa.LargeBinary(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(state = 'sending') = (claimed_at IS NOT NULL)", name=op.f("messages_claimed_check")),
        sa.CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name=op.f("messages_sent_check")),
        sa.CheckConstraint("channel IN ('email', 'sms')", name=op.f("messages_channel_check")),
        sa.CheckConstraint(
            "purpose IN ('course_booked', 'day_before', 'two_hours_before', 'weekly_digest', 'session_moved', 'session_cancelled', 'survey_due', 'link', 'on_call')",
            name=op.f("messages_purpose_known_check"),
        ),
        sa.CheckConstraint(
            "state IN ('due', 'sending', 'sent', 'failed', 'quiet', 'void')", name=op.f("messages_state_known_check")
        ),
        sa.CheckConstraint("patient_id IS NOT NULL OR recipient IS NOT NULL", name=op.f("messages_to_someone_check")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("messages_patient_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("messages_pkey")),
        sa.UniqueConstraint("reference", name=op.f("messages_reference_key")),
    )
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.create_index(
            "messages_claimed_idx", ["claimed_at"], unique=False, postgresql_where=sa.text("state = 'sending'")
        )
        batch_op.create_index(
            "messages_due_idx", ["not_before"], unique=False, postgresql_where=sa.text("state = 'due'")
        )
        batch_op.create_index("messages_once_key", ["recipient_key", "purpose", "occurrence", "channel"], unique=True)
        batch_op.create_index("messages_patient_idx", ["patient_id", "created_at"], unique=False)
        batch_op.create_index(batch_op.f("messages_session_id_idx"), ["session_id"], unique=False)

    op.create_table(
        "packet_drafts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("policy", sa.String(length=80), nullable=False),
        sa.Column("protocol", sa.String(length=60), nullable=True),
        sa.Column("words", sa.LargeBinary(), nullable=True),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("edited_by", sa.Integer(), nullable=False),
        sa.Column("edited_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["edited_by"], ["staff_users.id"], name=op.f("packet_drafts_edited_by_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("packet_drafts_patient_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("packet_drafts_pkey")),
    )
    with op.batch_alter_table("packet_drafts", schema=None) as batch_op:
        batch_op.create_index("packet_drafts_one_key", ["patient_id", "policy"], unique=True)

    op.create_table(
        "patient_sessions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("purpose", sa.String(length=40), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=True),
        sa.Column("intake_id", sa.BigInteger(), nullable=True),
        sa.Column("survey_id", sa.BigInteger(), nullable=True),
        sa.Column("session_id", sa.BigInteger(), nullable=True),
        sa.Column("ask_id", sa.BigInteger(), nullable=True),
        sa.Column("is_kiosk", sa.Boolean(), nullable=False),
        sa.Column("birth_date_checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failed_checks", sa.SmallInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "purpose IN ('intake', 'sign_in', 'survey', 'visit', 'ask')",
            name=op.f("patient_sessions_purpose_known_check"),
        ),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("patient_sessions_patient_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("patient_sessions_pkey")),
        sa.UniqueConstraint("token_hash", name=op.f("patient_sessions_token_hash_key")),
    )
    with op.batch_alter_table("patient_sessions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("patient_sessions_patient_id_idx"), ["patient_id"], unique=False)

    op.create_table(
        "referrals",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("direction", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("about", sa.String(length=40), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("organization", sa.LargeBinary(), nullable=True),
        sa.Column("contact", sa.LargeBinary(), nullable=True),
        sa.Column("reason", sa.LargeBinary(), nullable=True),
        sa.Column("may_share", sa.Boolean(), nullable=False),
        sa.Column("referred_on", sa.LargeBinary(), nullable=True),
        sa.Column("added_by", sa.Integer(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("(state = 'closed') = (closed_at IS NOT NULL)", name=op.f("referrals_closed_check")),
        sa.CheckConstraint("direction IN ('in', 'out')", name=op.f("referrals_direction_known_check")),
        sa.CheckConstraint(
            "state IN ('draft', 'sent', 'received', 'booked', 'closed')", name=op.f("referrals_state_known_check")
        ),
        sa.ForeignKeyConstraint(["added_by"], ["staff_users.id"], name=op.f("referrals_added_by_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("referrals_patient_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("referrals_pkey")),
    )
    with op.batch_alter_table("referrals", schema=None) as batch_op:
        batch_op.create_index("referrals_patient_idx", ["patient_id"], unique=False)

    op.create_table(
        "screen_scores",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("instrument", sa.String(length=40), nullable=False),
        sa.Column("total", sa.SmallInteger(), nullable=False),
        sa.Column("parts", sa.LargeBinary(), nullable=True),
        sa.Column("taken_on", sa.LargeBinary(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=True),
        sa.Column("entered_by", sa.Integer(), nullable=False),
        sa.Column("entered_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["entered_by"], ["staff_users.id"], name=op.f("screen_scores_entered_by_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("screen_scores_patient_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("screen_scores_pkey")),
    )
    with op.batch_alter_table("screen_scores", schema=None) as batch_op:
        batch_op.create_index(
            "screen_scores_patient_idx", ["patient_id"], unique=False, postgresql_where=sa.text("superseded_at IS NULL")
        )

    op.create_table(
        "tasks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("level", sa.String(length=40), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=True),
        sa.Column("intake_id", sa.BigInteger(), nullable=True),
        sa.Column("subject", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=True),
        sa.Column("for_role", sa.String(length=40), nullable=False),
        sa.Column("location_id", sa.Integer(), nullable=True),
        sa.Column("dedupe_key", sa.String(length=120), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("owner_id", sa.Integer(), nullable=True),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('safety', 'review_intake', 'book_course', 'ask_patient', 'message_failed', 'cannot_come', 'survey_overdue', 'clinical_review', 'second_opinion', 'packet_hole', 'patient_question', 'plan_step', 'referral')",
            name=op.f("tasks_kind_known_check"),
        ),
        sa.CheckConstraint("level IN ('urgent', 'same_day', 'lit', 'routine')", name=op.f("tasks_level_known_check")),
        sa.CheckConstraint("(closed_at IS NULL) = (outcome IS NULL)", name=op.f("tasks_closed_with_outcome_check")),
        sa.ForeignKeyConstraint(["location_id"], ["locations.id"], name=op.f("tasks_location_id_fkey")),
        sa.ForeignKeyConstraint(["owner_id"], ["staff_users.id"], name=op.f("tasks_owner_id_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("tasks_patient_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("tasks_pkey")),
    )
    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.create_index("tasks_dedupe_key", ["dedupe_key"], unique=True)
        batch_op.create_index("tasks_open_idx", ["due_at"], unique=False, postgresql_where=sa.text("closed_at IS NULL"))
        batch_op.create_index("tasks_patient_idx", ["patient_id"], unique=False)

    op.create_table(
        "assessments",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("intake_id", sa.BigInteger(), nullable=True),
        sa.Column("ruleset", sa.String(length=40), nullable=False),
        sa.Column("ruleset_version", sa.String(length=20), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("result", sa.LargeBinary(), nullable=False),
        sa.Column("result_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("trd", sa.String(length=40), nullable=False),
        sa.Column("tms", sa.String(length=40), nullable=False),
        sa.Column("esketamine", sa.String(length=40), nullable=False),
        sa.Column("iv_ketamine", sa.String(length=40), nullable=False),
        sa.Column("is_urgent", sa.Boolean(), nullable=False),
        sa.Column("rules", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("payer_policies", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("reason", sa.LargeBinary(), nullable=True),
        sa.Column("waits", sa.Boolean(), nullable=False),
        sa.Column("assessed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "esketamine IN ('likely_eligible', 'not_yet', 'needs_review', 'contraindicated')",
            name=op.f("assessments_esketamine_known_check"),
        ),
        sa.CheckConstraint(
            "iv_ketamine IN ('likely_eligible', 'not_yet', 'needs_review', 'contraindicated')",
            name=op.f("assessments_iv_ketamine_known_check"),
        ),
        sa.CheckConstraint(
            "tms IN ('likely_eligible', 'not_yet', 'needs_review', 'contraindicated')",
            name=op.f("assessments_tms_known_check"),
        ),
        sa.CheckConstraint("trd IN ('met', 'not_met', 'undetermined')", name=op.f("assessments_trd_known_check")),
        sa.ForeignKeyConstraint(["intake_id"], ["intakes.id"], name=op.f("assessments_intake_id_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("assessments_patient_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("assessments_pkey")),
    )
    with op.batch_alter_table("assessments", schema=None) as batch_op:
        batch_op.create_index(
            "assessments_present_key", ["patient_id"], unique=True, postgresql_where=sa.text("superseded_at IS NULL")
        )

    op.create_table(
        "attachments",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=True),
        sa.Column("intake_id", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("name", sa.LargeBinary(), nullable=False),
        sa.Column("media_type", sa.String(length=80), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("about_on", sa.LargeBinary(), nullable=True),
        sa.Column("added_by", sa.Integer(), nullable=True),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "kind IN ('pharmacy_list', 'test_result', 'gene_test', 'letter', 'other')",
            name=op.f("attachments_kind_known_check"),
        ),
        sa.CheckConstraint(
            "patient_id IS NOT NULL OR intake_id IS NOT NULL", name=op.f("attachments_of_someone_check")
        ),
        sa.CheckConstraint("size > 0", name=op.f("attachments_size_check")),
        sa.ForeignKeyConstraint(["added_by"], ["staff_users.id"], name=op.f("attachments_added_by_fkey")),
        sa.ForeignKeyConstraint(["intake_id"], ["intakes.id"], name=op.f("attachments_intake_id_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("attachments_patient_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("attachments_pkey")),
    )
    with op.batch_alter_table("attachments", schema=None) as batch_op:
        batch_op.create_index("attachments_intake_idx", ["intake_id"], unique=False)
        batch_op.create_index("attachments_patient_idx", ["patient_id"], unique=False)

    op.create_table(
        "intake_amendments",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("intake_id", sa.BigInteger(), nullable=False),
        sa.Column("trial_key", sa.String(length=36), nullable=True),
        sa.Column("path", sa.String(length=120), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("amended_by", sa.Integer(), nullable=True),
        sa.Column("amended_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "source IN ('patient', 'clinician', 'document', 'score')", name=op.f("intake_amendments_source_known_check")
        ),
        sa.ForeignKeyConstraint(["amended_by"], ["staff_users.id"], name=op.f("intake_amendments_amended_by_fkey")),
        sa.ForeignKeyConstraint(["intake_id"], ["intakes.id"], name=op.f("intake_amendments_intake_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("intake_amendments_pkey")),
    )
    with op.batch_alter_table("intake_amendments", schema=None) as batch_op:
        batch_op.create_index("intake_amendments_intake_idx", ["intake_id"], unique=False)

    op.create_table(
        "intake_consents",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("intake_id", sa.BigInteger(), nullable=False),
        sa.Column("consent", sa.String(length=40), nullable=False),
        sa.Column("version", sa.String(length=20), nullable=False),
        sa.Column("language", sa.String(length=5), nullable=False),
        sa.Column("text_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["intake_id"], ["intakes.id"], name=op.f("intake_consents_intake_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("intake_consents_pkey")),
    )
    with op.batch_alter_table("intake_consents", schema=None) as batch_op:
        batch_op.create_index("intake_consents_intake_idx", ["intake_id"], unique=False)

    op.create_table(
        "intake_pages",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("intake_id", sa.BigInteger(), nullable=False),
        sa.Column("page", sa.String(length=40), nullable=False),
        sa.Column("answers", sa.LargeBinary(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("is_complete", sa.Boolean(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["intake_id"], ["intakes.id"], name=op.f("intake_pages_intake_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("intake_pages_pkey")),
    )
    with op.batch_alter_table("intake_pages", schema=None) as batch_op:
        batch_op.create_index("intake_pages_page_key", ["intake_id", "page"], unique=True)

    op.create_table(
        "intake_trials",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("intake_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(length=36), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("answers", sa.LargeBinary(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["intake_id"], ["intakes.id"], name=op.f("intake_trials_intake_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("intake_trials_pkey")),
    )
    with op.batch_alter_table("intake_trials", schema=None) as batch_op:
        batch_op.create_index("intake_trials_key_key", ["intake_id", "key"], unique=True)

    op.create_table(
        "decisions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("assessment_id", sa.BigInteger(), nullable=False),
        sa.Column("pathway", sa.String(length=40), nullable=False),
        sa.Column("decision", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.LargeBinary(), nullable=False),
        sa.Column("is_override", sa.Boolean(), nullable=False),
        sa.Column("evaluation", sa.LargeBinary(), nullable=True),
        sa.Column("decided_by", sa.Integer(), nullable=True),
        sa.Column("token_id", sa.Integer(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("decision IN ('approve', 'ask', 'decline')", name=op.f("decisions_decision_known_check")),
        sa.CheckConstraint(
            "pathway IN ('tms', 'esketamine', 'iv_ketamine')", name=op.f("decisions_pathway_known_check")
        ),
        sa.CheckConstraint(
            "decided_by IS NOT NULL OR token_id IS NOT NULL", name=op.f("decisions_decided_by_someone_check")
        ),
        sa.ForeignKeyConstraint(["assessment_id"], ["assessments.id"], name=op.f("decisions_assessment_id_fkey")),
        sa.ForeignKeyConstraint(["decided_by"], ["staff_users.id"], name=op.f("decisions_decided_by_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("decisions_patient_id_fkey")),
        sa.ForeignKeyConstraint(["token_id"], ["api_tokens.id"], name=op.f("decisions_token_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("decisions_pkey")),
    )
    with op.batch_alter_table("decisions", schema=None) as batch_op:
        batch_op.create_index(
            "decisions_present_key",
            ["patient_id", "pathway"],
            unique=True,
            postgresql_where=sa.text("superseded_at IS NULL"),
        )

    op.create_table(
        "opinions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("assessment_id", sa.BigInteger(), nullable=False),
        sa.Column("pathway", sa.String(length=40), nullable=False),
        sa.Column("question", sa.LargeBinary(), nullable=False),
        sa.Column("asked_by", sa.Integer(), nullable=False),
        sa.Column("asked_of", sa.Integer(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("opinion", sa.String(length=40), nullable=True),
        sa.Column("reason", sa.LargeBinary(), nullable=True),
        sa.Column("given_by", sa.Integer(), nullable=True),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("opinion IN ('agree', 'disagree', 'need_more')", name=op.f("opinions_opinion_known_check")),
        sa.CheckConstraint("(given_at IS NULL) = (opinion IS NULL)", name=op.f("opinions_given_whole_check")),
        sa.CheckConstraint("given_by IS DISTINCT FROM asked_by", name=op.f("opinions_second_person_check")),
        sa.ForeignKeyConstraint(["asked_by"], ["staff_users.id"], name=op.f("opinions_asked_by_fkey")),
        sa.ForeignKeyConstraint(["asked_of"], ["staff_users.id"], name=op.f("opinions_asked_of_fkey")),
        sa.ForeignKeyConstraint(["assessment_id"], ["assessments.id"], name=op.f("opinions_assessment_id_fkey")),
        sa.ForeignKeyConstraint(["given_by"], ["staff_users.id"], name=op.f("opinions_given_by_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("opinions_patient_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("opinions_pkey")),
    )
    with op.batch_alter_table("opinions", schema=None) as batch_op:
        batch_op.create_index("opinions_patient_idx", ["patient_id"], unique=False)

    op.create_table(
        "packets",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("assessment_id", sa.BigInteger(), nullable=False),
        sa.Column("policy", sa.String(length=80), nullable=False),
        sa.Column("policy_version", sa.String(length=20), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("pdf", sa.LargeBinary(), nullable=False),
        sa.Column("pdf_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("holes", sa.Integer(), nullable=False),
        sa.Column("issued_by", sa.Integer(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["assessment_id"], ["assessments.id"], name=op.f("packets_assessment_id_fkey")),
        sa.ForeignKeyConstraint(["issued_by"], ["staff_users.id"], name=op.f("packets_issued_by_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("packets_patient_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("packets_pkey")),
    )
    with op.batch_alter_table("packets", schema=None) as batch_op:
        batch_op.create_index("packets_patient_idx", ["patient_id"], unique=False)

    op.create_table(
        "patient_asks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("assessment_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("questions", sa.LargeBinary(), nullable=False),
        sa.Column("answers", sa.LargeBinary(), nullable=True),
        sa.Column("note", sa.LargeBinary(), nullable=True),
        sa.Column("asked_by", sa.Integer(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'answered') = (answered_at IS NOT NULL)", name=op.f("patient_asks_answered_check")
        ),
        sa.CheckConstraint("state IN ('open', 'answered', 'withdrawn')", name=op.f("patient_asks_state_known_check")),
        sa.ForeignKeyConstraint(["asked_by"], ["staff_users.id"], name=op.f("patient_asks_asked_by_fkey")),
        sa.ForeignKeyConstraint(["assessment_id"], ["assessments.id"], name=op.f("patient_asks_assessment_id_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("patient_asks_patient_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("patient_asks_pkey")),
    )
    with op.batch_alter_table("patient_asks", schema=None) as batch_op:
        batch_op.create_index(
            "patient_asks_open_key", ["patient_id"], unique=True, postgresql_where=sa.text("state = 'open'")
        )

    op.create_table(
        "release_drafts",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("assessment_id", sa.BigInteger(), nullable=False),
        sa.Column("language", sa.String(length=5), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("next_step", sa.LargeBinary(), nullable=True),
        sa.Column("next_step_on", sa.Date(), nullable=True),
        sa.Column("revision", sa.SmallInteger(), nullable=False),
        sa.Column("edited_by", sa.Integer(), nullable=False),
        sa.Column("edited_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["assessment_id"], ["assessments.id"], name=op.f("release_drafts_assessment_id_fkey")),
        sa.ForeignKeyConstraint(["edited_by"], ["staff_users.id"], name=op.f("release_drafts_edited_by_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("release_drafts_patient_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("release_drafts_pkey")),
        sa.UniqueConstraint("patient_id", name=op.f("release_drafts_patient_id_key")),
    )
    op.create_table(
        "releases",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("assessment_id", sa.BigInteger(), nullable=False),
        sa.Column("language", sa.String(length=5), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("next_step", sa.LargeBinary(), nullable=False),
        sa.Column("next_step_on", sa.Date(), nullable=False),
        sa.Column("released_by", sa.Integer(), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_by", sa.Integer(), nullable=True),
        sa.Column("withdrawn_reason", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["assessment_id"], ["assessments.id"], name=op.f("releases_assessment_id_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("releases_patient_id_fkey")),
        sa.ForeignKeyConstraint(["released_by"], ["staff_users.id"], name=op.f("releases_released_by_fkey")),
        sa.ForeignKeyConstraint(["withdrawn_by"], ["staff_users.id"], name=op.f("releases_withdrawn_by_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("releases_pkey")),
    )
    with op.batch_alter_table("releases", schema=None) as batch_op:
        batch_op.create_index(
            "releases_present_key", ["patient_id"], unique=True, postgresql_where=sa.text("withdrawn_at IS NULL")
        )

    op.create_table(
        "courses",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("decision_id", sa.BigInteger(), nullable=False),
        sa.Column("protocol", sa.String(length=60), nullable=False),
        sa.Column("protocol_version", sa.String(length=20), nullable=False),
        sa.Column("location_id", sa.Integer(), nullable=False),
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("anchor_minute", sa.SmallInteger(), nullable=False),
        sa.Column("planned_sessions", sa.SmallInteger(), nullable=False),
        sa.Column("cost", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('booked', 'running', 'paused', 'completed', 'discontinued', 'cancelled')",
            name=op.f("courses_state_known_check"),
        ),
        sa.CheckConstraint("anchor_minute BETWEEN 0 AND 1439", name=op.f("courses_anchor_check")),
        sa.ForeignKeyConstraint(["decision_id"], ["decisions.id"], name=op.f("courses_decision_id_fkey")),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("courses_device_id_fkey")),
        sa.ForeignKeyConstraint(["location_id"], ["locations.id"], name=op.f("courses_location_id_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("courses_patient_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("courses_pkey")),
    )
    with op.batch_alter_table("courses", schema=None) as batch_op:
        batch_op.create_index("courses_patient_idx", ["patient_id"], unique=False)

    op.create_table(
        "patient_questions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("release_id", sa.BigInteger(), nullable=True),
        sa.Column("about", sa.String(length=80), nullable=False),
        sa.Column("text", sa.LargeBinary(), nullable=True),
        sa.Column("form_key", sa.String(length=36), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("answered_by", sa.Integer(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "(answered_at IS NULL) = (answered_by IS NULL)", name=op.f("patient_questions_answered_by_someone_check")
        ),
        sa.ForeignKeyConstraint(["answered_by"], ["staff_users.id"], name=op.f("patient_questions_answered_by_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("patient_questions_patient_id_fkey")),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"], name=op.f("patient_questions_release_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("patient_questions_pkey")),
    )
    with op.batch_alter_table("patient_questions", schema=None) as batch_op:
        batch_op.create_index("patient_questions_once_key", ["patient_id", "form_key"], unique=True)
        batch_op.create_index("patient_questions_patient_idx", ["patient_id"], unique=False)

    op.create_table(
        "plan_items",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.Column("for_patient", sa.Boolean(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("release_id", sa.BigInteger(), nullable=True),
        sa.Column("revision", sa.SmallInteger(), nullable=False),
        sa.Column("added_by", sa.Integer(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_by", sa.Integer(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("(state = 'open') = (closed_at IS NULL)", name=op.f("plan_items_closed_check")),
        sa.CheckConstraint(
            "kind <> 'decision_point' OR due_on IS NOT NULL", name=op.f("plan_items_decision_has_a_date_check")
        ),
        sa.CheckConstraint(
            "kind IN ('decision_point', 'augmentation', 'medication', 'psychotherapy', 'exercise', 'sleep', 'nutrition', 'stress', 'social', 'other')",
            name=op.f("plan_items_kind_known_check"),
        ),
        sa.CheckConstraint("state IN ('open', 'done', 'dropped')", name=op.f("plan_items_state_known_check")),
        sa.CheckConstraint("revision >= 0", name=op.f("plan_items_revision_check")),
        sa.ForeignKeyConstraint(["added_by"], ["staff_users.id"], name=op.f("plan_items_added_by_fkey")),
        sa.ForeignKeyConstraint(["closed_by"], ["staff_users.id"], name=op.f("plan_items_closed_by_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("plan_items_patient_id_fkey")),
        sa.ForeignKeyConstraint(["release_id"], ["releases.id"], name=op.f("plan_items_release_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("plan_items_pkey")),
    )
    with op.batch_alter_table("plan_items", schema=None) as batch_op:
        batch_op.create_index(
            "plan_items_due_idx", ["due_on"], unique=False, postgresql_where=sa.text("state = 'open'")
        )
        batch_op.create_index("plan_items_patient_idx", ["patient_id"], unique=False)

    op.create_table(
        "surveys",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("course_id", sa.BigInteger(), nullable=False),
        sa.Column("instrument", sa.String(length=40), nullable=False),
        sa.Column("instrument_version", sa.String(length=20), nullable=False),
        sa.Column("milestone", sa.SmallInteger(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("late_after", sa.DateTime(timezone=True), nullable=False),
        sa.Column("draft", sa.LargeBinary(), nullable=True),
        sa.Column("answered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("is_late", sa.Boolean(), nullable=False),
        sa.CheckConstraint("(state = 'answered') = (answered_at IS NOT NULL)", name=op.f("surveys_answered_check")),
        sa.CheckConstraint("state IN ('open', 'answered', 'cancelled')", name=op.f("surveys_state_known_check")),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("surveys_course_id_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("surveys_patient_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("surveys_pkey")),
    )
    with op.batch_alter_table("surveys", schema=None) as batch_op:
        batch_op.create_index("surveys_once_key", ["course_id", "instrument", "milestone"], unique=True)
        batch_op.create_index("surveys_patient_idx", ["patient_id"], unique=False)

    op.create_table(
        "treatment_sessions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("course_id", sa.BigInteger(), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("location_id", sa.Integer(), nullable=False),
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.SmallInteger(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("need", sa.String(length=40), nullable=False),
        sa.Column("starts_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("device_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("spaced_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("local_on", sa.Date(), nullable=False),
        sa.Column("state", sa.String(length=40), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        postgresql.ExcludeConstraint(
            (sa.text("int4range(device_id, device_id, '[]')"), "&&"),
            (sa.text("tstzrange(starts_at, device_until, '[)')"), "&&"),
            where=sa.text("state IN ('booked', 'confirmed', 'arrived', 'completed')"),
            using="gist",
            name="treatment_sessions_device_overlap",
        ),
        postgresql.ExcludeConstraint(
            (sa.text("int8range(course_id, course_id, '[]')"), "&&"),
            (sa.text("tstzrange(starts_at, spaced_until, '[)')"), "&&"),
            where=sa.text("state IN ('booked', 'confirmed', 'arrived', 'completed')"),
            using="gist",
            name="treatment_sessions_spacing",
        ),
        postgresql.ExcludeConstraint(
            (sa.text("int8range(patient_id, patient_id, '[]')"), "&&"),
            (sa.text("tstzrange(starts_at, ends_at, '[)')"), "&&"),
            where=sa.text("state IN ('booked', 'confirmed', 'arrived', 'completed')"),
            using="gist",
            name="treatment_sessions_patient_overlap",
        ),
        sa.CheckConstraint("need IN ('tms', 'map', 'obs')", name=op.f("treatment_sessions_need_check")),
        sa.CheckConstraint(
            "state IN ('booked', 'confirmed', 'arrived', 'completed', 'cancelled', 'no_show')",
            name=op.f("treatment_sessions_state_known_check"),
        ),
        sa.CheckConstraint("number >= 1", name=op.f("treatment_sessions_number_check")),
        sa.CheckConstraint(
            "starts_at < ends_at AND ends_at <= device_until AND starts_at < spaced_until",
            name=op.f("treatment_sessions_order_check"),
        ),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("treatment_sessions_course_id_fkey")),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("treatment_sessions_device_id_fkey")),
        sa.ForeignKeyConstraint(["location_id"], ["locations.id"], name=op.f("treatment_sessions_location_id_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("treatment_sessions_patient_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("treatment_sessions_pkey")),
    )
    with op.batch_alter_table("treatment_sessions", schema=None) as batch_op:
        batch_op.create_index(
            "treatment_sessions_cancelled_idx",
            ["ended_at"],
            unique=False,
            postgresql_where=sa.text("state = 'cancelled'"),
        )
        batch_op.create_index("treatment_sessions_course_idx", ["course_id", "number"], unique=False)
        batch_op.create_index("treatment_sessions_location_idx", ["location_id", "local_on"], unique=False)
        batch_op.create_index(
            "treatment_sessions_moved_idx",
            ["starts_at"],
            unique=False,
            postgresql_where=sa.text("revision > 0 AND state IN ('booked', 'confirmed')"),
        )
        batch_op.create_index("treatment_sessions_patient_idx", ["patient_id", "starts_at"], unique=False)
        batch_op.create_index(
            "treatment_sessions_starts_idx",
            ["starts_at"],
            unique=False,
            postgresql_where=sa.text("state IN ('booked', 'confirmed')"),
        )

    op.create_table(
        "scores",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("instrument", sa.String(length=40), nullable=False),
        sa.Column("instrument_version", sa.String(length=20), nullable=False),
        sa.Column("items", sa.LargeBinary(), nullable=False),
        sa.Column("result", sa.LargeBinary(), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("source", sa.String(length=40), nullable=False),
        sa.Column("intake_id", sa.BigInteger(), nullable=True),
        sa.Column("survey_id", sa.BigInteger(), nullable=True),
        sa.Column("course_id", sa.BigInteger(), nullable=True),
        sa.Column("delivered_sessions", sa.SmallInteger(), nullable=True),
        sa.CheckConstraint("source IN ('intake', 'survey', 'paper', 'staff')", name=op.f("scores_source_check")),
        sa.ForeignKeyConstraint(["course_id"], ["courses.id"], name=op.f("scores_course_id_fkey")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("scores_patient_id_fkey")),
        sa.ForeignKeyConstraint(["survey_id"], ["surveys.id"], name=op.f("scores_survey_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("scores_pkey")),
    )
    with op.batch_alter_table("scores", schema=None) as batch_op:
        batch_op.create_index("scores_intake_key", ["intake_id", "instrument"], unique=True)
        batch_op.create_index("scores_patient_idx", ["patient_id", "instrument", "taken_at"], unique=False)
        batch_op.create_index("scores_survey_key", ["survey_id"], unique=True)


def downgrade() -> None:
    with op.batch_alter_table("scores", schema=None) as batch_op:
        batch_op.drop_index("scores_survey_key")
        batch_op.drop_index("scores_patient_idx")
        batch_op.drop_index("scores_intake_key")

    op.drop_table("scores")
    with op.batch_alter_table("treatment_sessions", schema=None) as batch_op:
        batch_op.drop_index(
            "treatment_sessions_starts_idx", postgresql_where=sa.text("state IN ('booked', 'confirmed')")
        )
        batch_op.drop_index("treatment_sessions_patient_idx")
        batch_op.drop_index(
            "treatment_sessions_moved_idx",
            postgresql_where=sa.text("revision > 0 AND state IN ('booked', 'confirmed')"),
        )
        batch_op.drop_index("treatment_sessions_location_idx")
        batch_op.drop_index("treatment_sessions_course_idx")
        batch_op.drop_index("treatment_sessions_cancelled_idx", postgresql_where=sa.text("state = 'cancelled'"))

    op.drop_table("treatment_sessions")
    with op.batch_alter_table("surveys", schema=None) as batch_op:
        batch_op.drop_index("surveys_patient_idx")
        batch_op.drop_index("surveys_once_key")

    op.drop_table("surveys")
    with op.batch_alter_table("plan_items", schema=None) as batch_op:
        batch_op.drop_index("plan_items_patient_idx")
        batch_op.drop_index("plan_items_due_idx", postgresql_where=sa.text("state = 'open'"))

    op.drop_table("plan_items")
    with op.batch_alter_table("patient_questions", schema=None) as batch_op:
        batch_op.drop_index("patient_questions_patient_idx")
        batch_op.drop_index("patient_questions_once_key")

    op.drop_table("patient_questions")
    with op.batch_alter_table("courses", schema=None) as batch_op:
        batch_op.drop_index("courses_patient_idx")

    op.drop_table("courses")
    with op.batch_alter_table("releases", schema=None) as batch_op:
        batch_op.drop_index("releases_present_key", postgresql_where=sa.text("withdrawn_at IS NULL"))

    op.drop_table("releases")
    op.drop_table("release_drafts")
    with op.batch_alter_table("patient_asks", schema=None) as batch_op:
        batch_op.drop_index("patient_asks_open_key", postgresql_where=sa.text("state = 'open'"))

    op.drop_table("patient_asks")
    with op.batch_alter_table("packets", schema=None) as batch_op:
        batch_op.drop_index("packets_patient_idx")

    op.drop_table("packets")
    with op.batch_alter_table("opinions", schema=None) as batch_op:
        batch_op.drop_index("opinions_patient_idx")

    op.drop_table("opinions")
    with op.batch_alter_table("decisions", schema=None) as batch_op:
        batch_op.drop_index("decisions_present_key", postgresql_where=sa.text("superseded_at IS NULL"))

    op.drop_table("decisions")
    with op.batch_alter_table("intake_trials", schema=None) as batch_op:
        batch_op.drop_index("intake_trials_key_key")

    op.drop_table("intake_trials")
    with op.batch_alter_table("intake_pages", schema=None) as batch_op:
        batch_op.drop_index("intake_pages_page_key")

    op.drop_table("intake_pages")
    with op.batch_alter_table("intake_consents", schema=None) as batch_op:
        batch_op.drop_index("intake_consents_intake_idx")

    op.drop_table("intake_consents")
    with op.batch_alter_table("intake_amendments", schema=None) as batch_op:
        batch_op.drop_index("intake_amendments_intake_idx")

    op.drop_table("intake_amendments")
    with op.batch_alter_table("attachments", schema=None) as batch_op:
        batch_op.drop_index("attachments_patient_idx")
        batch_op.drop_index("attachments_intake_idx")

    op.drop_table("attachments")
    with op.batch_alter_table("assessments", schema=None) as batch_op:
        batch_op.drop_index("assessments_present_key", postgresql_where=sa.text("superseded_at IS NULL"))

    op.drop_table("assessments")
    with op.batch_alter_table("tasks", schema=None) as batch_op:
        batch_op.drop_index("tasks_patient_idx")
        batch_op.drop_index("tasks_open_idx", postgresql_where=sa.text("closed_at IS NULL"))
        batch_op.drop_index("tasks_dedupe_key")

    op.drop_table("tasks")
    with op.batch_alter_table("screen_scores", schema=None) as batch_op:
        batch_op.drop_index("screen_scores_patient_idx", postgresql_where=sa.text("superseded_at IS NULL"))

    op.drop_table("screen_scores")
    with op.batch_alter_table("referrals", schema=None) as batch_op:
        batch_op.drop_index("referrals_patient_idx")

    op.drop_table("referrals")
    with op.batch_alter_table("patient_sessions", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("patient_sessions_patient_id_idx"))

    op.drop_table("patient_sessions")
    with op.batch_alter_table("packet_drafts", schema=None) as batch_op:
        batch_op.drop_index("packet_drafts_one_key")

    op.drop_table("packet_drafts")
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("messages_session_id_idx"))
        batch_op.drop_index("messages_patient_idx")
        batch_op.drop_index("messages_once_key")
        batch_op.drop_index("messages_due_idx", postgresql_where=sa.text("state = 'due'"))
        batch_op.drop_index("messages_claimed_idx", postgresql_where=sa.text("state = 'sending'"))

    op.drop_table("messages")
    with op.batch_alter_table("link_requests", schema=None) as batch_op:
        batch_op.drop_index("link_requests_requested_idx")
        batch_op.drop_index(batch_op.f("link_requests_patient_id_idx"))

    op.drop_table("link_requests")
    with op.batch_alter_table("intakes", schema=None) as batch_op:
        batch_op.drop_index(
            "intakes_staff_open_key", postgresql_where=sa.text("state = 'open' AND entered_by IS NOT NULL")
        )
        batch_op.drop_index("intakes_patient_idx")

    op.drop_table("intakes")
    with op.batch_alter_table("device_downtimes", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("device_downtimes_device_id_idx"))

    op.drop_table("device_downtimes")
    with op.batch_alter_table("course_proposals", schema=None) as batch_op:
        batch_op.drop_index("course_proposals_expires_idx")

    op.drop_table("course_proposals")
    with op.batch_alter_table("channel_consents", schema=None) as batch_op:
        batch_op.drop_index("channel_consents_present_key", postgresql_where=sa.text("superseded_at IS NULL"))

    op.drop_table("channel_consents")
    with op.batch_alter_table("access_links", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("access_links_patient_id_idx"))

    op.drop_table("access_links")
    op.drop_table("staff_user_roles")
    with op.batch_alter_table("staff_shifts", schema=None) as batch_op:
        batch_op.drop_index("staff_shifts_one_place_key", postgresql_where=sa.text("valid_until IS NULL"))
        batch_op.drop_index("staff_shifts_location_idx")

    op.drop_table("staff_shifts")
    op.drop_table("staff_locations")
    with op.batch_alter_table("policy_verifications", schema=None) as batch_op:
        batch_op.drop_index("policy_verifications_present_key", postgresql_where=sa.text("superseded_at IS NULL"))

    op.drop_table("policy_verifications")
    with op.batch_alter_table("patients", schema=None) as batch_op:
        batch_op.drop_index("patients_phone_blind_idx")
        batch_op.drop_index("patients_initials_idx")
        batch_op.drop_index("patients_email_blind_idx")

    op.drop_table("patients")
    with op.batch_alter_table("option_notes", schema=None) as batch_op:
        batch_op.drop_index("option_notes_present_key", postgresql_where=sa.text("superseded_at IS NULL"))

    op.drop_table("option_notes")
    op.drop_table("opening_hours")
    with op.batch_alter_table("idempotency_keys", schema=None) as batch_op:
        batch_op.drop_index("idempotency_keys_key_key")
        batch_op.drop_index("idempotency_keys_created_idx")

    op.drop_table("idempotency_keys")
    op.drop_table("devices")
    op.drop_table("closures")
    op.drop_table("staff_users")
    op.drop_table("staff_roles")
    with op.batch_alter_table("rule_versions", schema=None) as batch_op:
        batch_op.drop_index("rule_versions_version_key")

    op.drop_table("rule_versions")
    op.drop_table("locations")
    op.drop_table("heartbeats")
    op.drop_table("clinic_profile")
    with op.batch_alter_table("audit_events", schema=None) as batch_op:
        batch_op.drop_index("audit_events_patient_idx")
        batch_op.drop_index("audit_events_entity_idx")

    op.drop_table("audit_events")
    op.drop_table("api_tokens")
    op.execute(sa.schema.DropSequence(sa.Sequence("patient_record_numbers")))
