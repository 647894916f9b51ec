"""Email addresses in one form: the domain as IDNA 2008 with UTS 46 has it, in letters.

Where two people's addresses turn out to be one, the second keeps the spelling that they sign in with.
"""

import sqlalchemy as sa
from alembic import op

from webapp.addresses import same
from webapp.text import search_text

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
PEOPLE = sa.table(
    "people", sa.column("id", ID), sa.column("email", sa.String()), sa.column("name", sa.String()),
    sa.column("search_text", sa.Text()),
)  # fmt: skip


def upgrade() -> None:
    connection = op.get_bind()
    rows = connection.execute(sa.select(PEOPLE.c.id, PEOPLE.c.email, PEOPLE.c.name).order_by(PEOPLE.c.id)).all()
    taken = {row.email for row in rows}
    for row in rows:
        email = same(row.email)
        if email in taken:  # their own, if it has the form already
            continue
        taken.add(email)
        connection.execute(
            sa.update(PEOPLE).where(PEOPLE.c.id == row.id).values(email=email, search_text=search_text(row.name, email))
        )


def downgrade() -> None:
    raise RuntimeError("There is no way back: restore the copy that was made before the upgrade.")
