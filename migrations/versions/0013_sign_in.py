"""Staff sessions, passkeys, recovery codes, failures of sign-in, forms that are held"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sign_in_failures",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("account", sa.LargeBinary(length=32), nullable=False),
        sa.Column("address", sa.LargeBinary(length=32), nullable=False),
        sa.Column("device", sa.LargeBinary(length=32), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("sign_in_failures_pkey")),
    )
    with op.batch_alter_table("sign_in_failures", schema=None) as batch_op:
        batch_op.create_index("sign_in_failures_account_idx", ["account", "occurred_at"], unique=False)
        batch_op.create_index("sign_in_failures_address_idx", ["address", "occurred_at"], unique=False)

    op.create_table(
        "held_forms",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("path", sa.String(length=500), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("held_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["staff_users.id"], name=op.f("held_forms_user_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("held_forms_pkey")),
    )
    with op.batch_alter_table("held_forms", schema=None) as batch_op:
        batch_op.create_index("held_forms_page_key", ["user_id", "path"], unique=True)

    op.create_table(
        "staff_passkeys",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(length=1024), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("usage", sa.String(length=64), nullable=False),
        sa.Column("sign_count", sa.Integer(), nullable=False),
        sa.Column("transports", postgresql.ARRAY(sa.String(length=40)), nullable=True),
        sa.Column("backup_state", sa.Boolean(), nullable=False),
        sa.Column("device_type", sa.String(length=64), nullable=False),
        sa.Column("extensions", sa.String(length=255), nullable=True),
        sa.Column("lastuse_datetime", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["staff_users.id"], name=op.f("staff_passkeys_user_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("staff_passkeys_pkey")),
        sa.UniqueConstraint("credential_id", name=op.f("staff_passkeys_credential_id_key")),
    )
    with op.batch_alter_table("staff_passkeys", schema=None) as batch_op:
        batch_op.create_index("staff_passkeys_user_idx", ["user_id"], unique=False)

    op.create_table(
        "staff_sessions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("methods", postgresql.ARRAY(sa.String(length=20)), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("browser", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("verified_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("created_at <= last_seen_at", name=op.f("staff_sessions_order_check")),
        sa.ForeignKeyConstraint(["user_id"], ["staff_users.id"], name=op.f("staff_sessions_user_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("staff_sessions_pkey")),
        sa.UniqueConstraint("token_hash", name=op.f("staff_sessions_token_hash_key")),
    )
    with op.batch_alter_table("staff_sessions", schema=None) as batch_op:
        batch_op.create_index(
            "staff_sessions_open_idx", ["user_id"], unique=False, postgresql_where=sa.text("ended_at IS NULL")
        )

    with op.batch_alter_table("staff_users", schema=None) as batch_op:
        batch_op.add_column(sa.Column("fs_webauthn_user_handle", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("mf_recovery_codes", sa.LargeBinary(), nullable=True))
        batch_op.create_unique_constraint(
            batch_op.f("staff_users_fs_webauthn_user_handle_key"), ["fs_webauthn_user_handle"]
        )


def downgrade() -> None:
    with op.batch_alter_table("staff_users", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("staff_users_fs_webauthn_user_handle_key"), type_="unique")
        batch_op.drop_column("mf_recovery_codes")
        batch_op.drop_column("fs_webauthn_user_handle")

    with op.batch_alter_table("staff_sessions", schema=None) as batch_op:
        batch_op.drop_index("staff_sessions_open_idx", postgresql_where=sa.text("ended_at IS NULL"))

    op.drop_table("staff_sessions")
    with op.batch_alter_table("staff_passkeys", schema=None) as batch_op:
        batch_op.drop_index("staff_passkeys_user_idx")

    op.drop_table("staff_passkeys")
    with op.batch_alter_table("held_forms", schema=None) as batch_op:
        batch_op.drop_index("held_forms_page_key")

    op.drop_table("held_forms")
    with op.batch_alter_table("sign_in_failures", schema=None) as batch_op:
        batch_op.drop_index("sign_in_failures_address_idx")
        batch_op.drop_index("sign_in_failures_account_idx")

    op.drop_table("sign_in_failures")
