import datetime
import decimal
import enum
import uuid

from sqlalchemy import DateTime, Enum, ForeignKey, MetaData, Numeric, String, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from shop.settings import SCHEMA


class Base(DeclarativeBase):
    metadata = MetaData(schema=SCHEMA)


class Tier(enum.Enum):
    basic = "basic"
    gold = "gold"


class Customer(Base):
    __tablename__ = "customers"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(320), unique=True)
    tier: Mapped[Tier] = mapped_column(Enum(Tier, name="tier"))
    balance: Mapped[decimal.Decimal | None] = mapped_column(Numeric(12, 2))
    created_at: Mapped[datetime.datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("shop.customers.id"))
    total: Mapped[decimal.Decimal] = mapped_column(Numeric(12, 2))
