"""The hash of an app's uploaded picture beside its key, so that lists can name the picture's address."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("apps", sa.Column("icon_hash", sa.String(length=64), server_default="", nullable=False))
    op.execute(
        "UPDATE apps SET icon_hash = (SELECT sha256 FROM icons WHERE icons.id = apps.icon_id) WHERE icon_id IS NOT NULL"
    )
