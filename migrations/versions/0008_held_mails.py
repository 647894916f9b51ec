"""Mails that are held after a restore, until an admin has looked at them."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STATES = "state IN ('due', 'leased', 'sent', 'dead', 'obsolete', 'held')"

HELD = sa.text("state = 'held'")


def upgrade() -> None:
    with op.batch_alter_table("notices") as notices:
        notices.drop_constraint(op.f("ck_notices_state"), type_="check")
        notices.create_check_constraint(op.f("ck_notices_state"), STATES)
        notices.create_index("ix_notices_held", ["id"], sqlite_where=HELD, postgresql_where=HELD)


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the copy that was made before the upgrade.")
