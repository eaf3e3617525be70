"""Tasks and messages about a record that was opened from another site"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

ADDED = (("tasks", "kind", "record_opened"), ("messages", "purpose", "record_opened"))


def known(table: str, column: str) -> list[str]:
    """The words that the column takes now, in order."""
    found = op.get_bind().scalar(
        sa.text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = :name"),
        {"name": f"{table}_{column}_known_check"},
    )
    return [part for part in found.split("'") if part.replace("_", "").isalpha() and part.islower()]


def allow(table: str, column: str, words: list[str]) -> None:
    name = op.f(f"{table}_{column}_known_check")
    op.drop_constraint(name, table)
    op.create_check_constraint(name, table, f"{column} IN ({', '.join(repr(word) for word in words)})")


def upgrade() -> None:
    for table, column, word in ADDED:
        allow(table, column, [*known(table, column), word])


def downgrade() -> None:
    for table, column, word in ADDED:
        allow(table, column, [each for each in known(table, column) if each != word])
