"""The organisation's logo; and which request of the web each notice comes from, for the logs."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("organisation", sa.Column("logo", sa.LargeBinary(), nullable=True))
    op.add_column("organisation", sa.Column("logo_hash", sa.String(64), nullable=False, server_default=sa.text("''")))
    op.add_column("notices", sa.Column("cause", sa.String(64), nullable=False, server_default=sa.text("''")))


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the copy that was made before the upgrade.")
