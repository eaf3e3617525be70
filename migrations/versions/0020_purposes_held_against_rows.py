"""Messages that are there are held against the purposes, while others write"""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE messages VALIDATE CONSTRAINT messages_purpose_known_check")


def downgrade() -> None:
    pass  # what is valid stays valid
