"""A task to arrange what a protocol asks for before the first session"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

NEW = "prepare_course"


def upgrade() -> None:
    _replace([*_kinds(), NEW])


def downgrade() -> None:
    op.execute(f"DELETE FROM tasks WHERE kind = '{NEW}'")  # noqa: S608 - our own word
    _replace([kind for kind in _kinds() if kind != NEW])


def _kinds() -> list[str]:
    """The kinds that the table takes now, in order."""
    found = op.get_bind().scalar(
        sa.text("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'tasks_kind_known_check'")
    )
    return [part for part in found.split("'") if part.replace("_", "").isalpha() and part.islower()]


def _replace(kinds: list[str]) -> None:
    op.drop_constraint(op.f("tasks_kind_known_check"), "tasks")
    words = ", ".join(f"'{kind}'" for kind in kinds)
    op.create_check_constraint(op.f("tasks_kind_known_check"), "tasks", f"kind IN ({words})")
