"""Customers have a second head: what they bought last."""

import sqlalchemy as sa
from alembic import op

revision = "9a4b"
down_revision = "3c1d"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("customers", sa.Column("last_order_at", sa.DateTime(timezone=True)), schema="shop")


def downgrade() -> None:
    op.drop_column("customers", "last_order_at", schema="shop")
