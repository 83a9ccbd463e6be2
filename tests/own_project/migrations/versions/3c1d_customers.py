"""Customers."""

import sqlalchemy as sa
from alembic import op

revision = "3c1d"
down_revision = None
branch_labels = ("customers",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "customers",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("email", sa.String(320), nullable=False, unique=True),
        sa.Column("tier", sa.Enum("basic", "gold", name="tier", schema="shop"), nullable=False),
        sa.Column("balance", sa.Numeric(12, 2)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema="shop",
    )


def downgrade() -> None:
    op.drop_table("customers", schema="shop")
    op.execute("drop type shop.tier")
