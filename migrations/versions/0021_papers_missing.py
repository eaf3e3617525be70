"""A message about papers that are missing, and an index of changes that wait to be told"""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

NAME, NEW = "messages_purpose_known_check", "documents_missing"
WAITING_NEWS = "state = 'due' AND purpose IN ('session_moved', 'session_cancelled')"


def upgrade() -> None:
    words = _known()
    words.insert(words.index("answers_missing") + 1, NEW)
    _allow(words)
    with op.get_context().autocommit_block():
        op.execute(f"ALTER TABLE messages VALIDATE CONSTRAINT {NAME}")  # what is there, while others write
        op.create_index(
            "messages_news_idx",
            "messages",
            ["lane", "deadline"],
            postgresql_where=sa.text(WAITING_NEWS),
            postgresql_concurrently=True,
            if_not_exists=True,
        )


def downgrade() -> None:
    op.drop_index("messages_news_idx", table_name="messages")
    op.execute(f"DELETE FROM messages WHERE purpose = '{NEW}'")  # noqa: S608 - our own constant
    _allow([each for each in _known() if each != NEW])


def _known() -> list[str]:
    """The purposes that a message may have now, in order."""
    found = op.get_bind().scalar(
        sa.text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = :name"), {"name": NAME}
    )
    return [part for part in found.split("'") if part.replace("_", "").isalpha() and part.islower()]


def _allow(words: list[str]) -> None:
    op.drop_constraint(op.f(NAME), "messages")
    op.create_check_constraint(
        op.f(NAME), "messages", f"purpose IN ({', '.join(map(repr, words))})", postgresql_not_valid=True
    )
