"""The next possible course start of each site, kept for public pages"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "course_starts",
        sa.Column("location_id", sa.Integer(), nullable=False),
        sa.Column("protocol", sa.String(length=60), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=True),
        sa.Column("schedule_version", sa.Integer(), nullable=False),
        sa.Column("computed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["location_id"], ["locations.id"], name=op.f("course_starts_location_id_fkey")),
        sa.PrimaryKeyConstraint("location_id", "protocol", name=op.f("course_starts_pkey")),
    )


def downgrade() -> None:
    op.drop_table("course_starts")
