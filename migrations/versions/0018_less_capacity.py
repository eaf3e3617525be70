"""A site with less capacity is a reason for a re-plan"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TABLES = ("outages", "schedule_changes")


def upgrade() -> None:
    for table in TABLES:
        _known(table, "'device', 'person', 'site', 'capacity'")


def downgrade() -> None:
    op.execute("UPDATE outages SET kind = 'site' WHERE kind = 'capacity'")
    op.execute("UPDATE schedule_changes SET kind = 'site' WHERE kind = 'capacity'")
    for table in TABLES:
        _known(table, "'device', 'person', 'site'")


def _known(table: str, kinds: str) -> None:
    op.drop_constraint(op.f(f"{table}_kind_known_check"), table, type_="check")
    op.create_check_constraint(op.f(f"{table}_kind_known_check"), table, f"kind IN ({kinds})")
