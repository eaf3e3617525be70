"""Addresses of calendar feeds"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "calendar_feeds",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=True),
        sa.Column("device_id", sa.Integer(), nullable=True),
        sa.Column("location_id", sa.Integer(), nullable=True),
        sa.Column("token", sa.LargeBinary(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('patient', 'device', 'location')", name=op.f("calendar_feeds_kind_known_check")),
        sa.CheckConstraint(
            "num_nonnulls(patient_id, device_id, location_id) = 1 AND CASE kind WHEN 'patient' THEN patient_id"
            " WHEN 'device' THEN device_id ELSE location_id END IS NOT NULL",
            name=op.f("calendar_feeds_subject_check"),
        ),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("calendar_feeds_patient_id_fkey")),
        sa.ForeignKeyConstraint(["device_id"], ["devices.id"], name=op.f("calendar_feeds_device_id_fkey")),
        sa.ForeignKeyConstraint(["location_id"], ["locations.id"], name=op.f("calendar_feeds_location_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("calendar_feeds_pkey")),
        sa.UniqueConstraint("token_hash", name=op.f("calendar_feeds_token_hash_key")),
    )
    for kind in ("patient", "device", "location"):
        op.create_index(
            f"calendar_feeds_{kind}_key",
            "calendar_feeds",
            [f"{kind}_id"],
            unique=True,
            postgresql_where=sa.text(f"revoked_at IS NULL AND {kind}_id IS NOT NULL"),
        )


def downgrade() -> None:
    op.drop_table("calendar_feeds")
