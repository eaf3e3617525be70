"""Sites of tokens, all sites for staff, records opened for a reason"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_token_locations",
        sa.Column("token_id", sa.Integer(), nullable=False),
        sa.Column("location_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["location_id"], ["locations.id"], name=op.f("api_token_locations_location_id_fkey")),
        sa.ForeignKeyConstraint(["token_id"], ["api_tokens.id"], name=op.f("api_token_locations_token_id_fkey")),
        sa.PrimaryKeyConstraint("token_id", "location_id", name=op.f("api_token_locations_pkey")),
    )
    op.create_table(
        "record_openings",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("reason", sa.LargeBinary(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reviewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reviewed_by", sa.Integer(), nullable=True),
        sa.Column("finding", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('emergency', 'covering', 'here_now', 'other')", name=op.f("record_openings_kind_known_check")
        ),
        sa.CheckConstraint(
            "(reviewed_at IS NULL) = (reviewed_by IS NULL)", name=op.f("record_openings_reviewed_by_someone_check")
        ),
        sa.CheckConstraint("opened_at < expires_at", name=op.f("record_openings_order_check")),
        sa.CheckConstraint("reviewed_by <> staff_id", name=op.f("record_openings_not_by_oneself_check")),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("record_openings_patient_id_fkey")),
        sa.ForeignKeyConstraint(["reviewed_by"], ["staff_users.id"], name=op.f("record_openings_reviewed_by_fkey")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff_users.id"], name=op.f("record_openings_staff_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("record_openings_pkey")),
    )
    op.create_index("record_openings_opened_idx", "record_openings", ["opened_at"])
    op.create_index("record_openings_patient_id_idx", "record_openings", ["patient_id"])
    op.create_index("record_openings_staff_idx", "record_openings", ["staff_id", "expires_at"])
    for table, default in (("api_tokens", "true"), ("staff_users", "false")):
        op.add_column(table, sa.Column("has_all_sites", sa.Boolean(), server_default=sa.text(default), nullable=False))


def downgrade() -> None:
    op.drop_column("staff_users", "has_all_sites")
    op.drop_column("api_tokens", "has_all_sites")
    op.drop_table("record_openings")
    op.drop_table("api_token_locations")
