"""Records on hold"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "legal_holds",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("patient_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.LargeBinary(), nullable=False),
        sa.Column("placed_by", sa.Integer(), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted_by", sa.Integer(), nullable=True),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(lifted_at IS NULL) = (lifted_by IS NULL)", name=op.f("legal_holds_lifted_by_someone_check")
        ),
        sa.ForeignKeyConstraint(["patient_id"], ["patients.id"], name=op.f("legal_holds_patient_id_fkey")),
        sa.ForeignKeyConstraint(["placed_by"], ["staff_users.id"], name=op.f("legal_holds_placed_by_fkey")),
        sa.ForeignKeyConstraint(["lifted_by"], ["staff_users.id"], name=op.f("legal_holds_lifted_by_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("legal_holds_pkey")),
    )
    op.create_index(
        "legal_holds_present_key",
        "legal_holds",
        ["patient_id"],
        unique=True,
        postgresql_where=sa.text("lifted_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("legal_holds")
