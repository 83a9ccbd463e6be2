"""Orders."""

import sqlalchemy as sa
from alembic import op

revision = "8e20"
down_revision = None
branch_labels = ("orders",)
depends_on = "3c1d"


def upgrade() -> None:
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("customer_id", sa.Uuid, sa.ForeignKey("shop.customers.id"), nullable=False),
        sa.Column("total", sa.Numeric(12, 2), nullable=False),
        schema="shop",
    )


def downgrade() -> None:
    op.drop_table("orders", schema="shop")
