"""Deliveries that are held after a restore, until an admin has looked at them."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

STATES = "state IN ('due', 'leased', 'sent', 'dead', 'obsolete', 'held')"
UNSETTLED = sa.text("state IN ('due', 'leased', 'held')")
HELD = sa.text("state = 'held'")


def upgrade() -> None:
    with op.batch_alter_table("deliveries") as deliveries:
        deliveries.drop_constraint(op.f("ck_deliveries_state"), type_="check")
        deliveries.create_check_constraint(op.f("ck_deliveries_state"), STATES)
        deliveries.drop_index("ix_deliveries_unsettled")
        deliveries.create_index(
            "ix_deliveries_unsettled",
            ["endpoint_id", "ordered_by", "id"],
            sqlite_where=UNSETTLED,
            postgresql_where=UNSETTLED,
        )
        deliveries.create_index("ix_deliveries_held", ["endpoint_id", "id"], sqlite_where=HELD, postgresql_where=HELD)


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the copy that was made before the upgrade.")
