"""Accounts that managers keep: locked or closed, links for a password, the last sign-in found by person"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

LINKS, NEW = "staff_password_links", "staff_link"
PURPOSES = "messages_purpose_known_check"


def known() -> list[str]:
    """The purposes that a message may have now, in order."""
    found = op.get_bind().scalar(
        sa.text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = :name"), {"name": PURPOSES}
    )
    return [part for part in found.split("'") if part.replace("_", "").isalpha() and part.islower()]


def allow(words: list[str]) -> None:
    """Rows that are there are not read again under the lock: 0020 holds them against it."""
    op.drop_constraint(op.f(PURPOSES), "messages")
    op.create_check_constraint(
        op.f(PURPOSES), "messages", f"purpose IN ({', '.join(map(repr, words))})", postgresql_not_valid=True
    )


def upgrade() -> None:
    op.create_table(
        LINKS,
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("spent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["staff_users.id"], name=op.f(f"{LINKS}_user_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f(f"{LINKS}_pkey")),
        sa.UniqueConstraint("token_hash", name=op.f(f"{LINKS}_token_hash_key")),
    )
    op.create_index(f"{LINKS}_asked_idx", LINKS, ["requested_at"])
    op.create_index(
        f"{LINKS}_open_key",
        LINKS,
        ["user_id"],
        unique=True,
        postgresql_where=sa.text("spent_at IS NULL AND ended_at IS NULL"),
    )
    op.create_index("staff_sessions_last_idx", "staff_sessions", ["user_id", "created_at"])
    op.add_column("staff_users", sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True))
    op.execute("UPDATE staff_users SET closed_at = now() WHERE NOT active")
    op.create_check_constraint(
        op.f("staff_users_closed_check"), "staff_users", "NOT (active AND closed_at IS NOT NULL)"
    )
    allow([*known(), NEW])


def downgrade() -> None:
    op.execute(f"DELETE FROM messages WHERE purpose = '{NEW}'")  # noqa: S608 - our own constant
    allow([word for word in known() if word != NEW])
    op.drop_column("staff_users", "closed_at")
    op.drop_index("staff_sessions_last_idx", "staff_sessions")
    op.drop_table(LINKS)
