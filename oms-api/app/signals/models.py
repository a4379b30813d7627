"""Tables of signals and of the rules of strategies."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Amount, Base, Instant, Serial, build_partial_index

IS_RECEIVED = text("status = 'received'")
_MODES = "('trade', 'approve', 'record')"
_SIZES = "('qty', 'notional', 'percent_of_equity', 'target_position', 'close')"


class SignalStrategyRow(Base):
    """The rules that turn the signals of a strategy into orders.

    `portfolio_id` is where they trade if they name no portfolio. `size_kind` and `size_value` apply to
    signals without a size. `symbols` are the allowed ones, separated by spaces.
    """

    __tablename__ = "signal_strategies"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "portfolio_id"], ["portfolios.tenant_id", "portfolios.id"]),
        CheckConstraint(f"mode IN {_MODES}", name="mode_is_known"),
        CheckConstraint(f"size_kind IN {_SIZES}", name="size_is_known"),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, ForeignKey("tenants.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    portfolio_id: Mapped[int | None] = mapped_column(BigInteger)
    mode: Mapped[str] = mapped_column(String(7))
    size_kind: Mapped[str | None] = mapped_column(String(17))
    size_value: Mapped[Decimal | None] = mapped_column(Amount)
    symbols: Mapped[str | None] = mapped_column(Text)
    updated_by: Mapped[str] = mapped_column(String(300))
    updated_at: Mapped[datetime] = mapped_column(Instant)


class SignalRow(Base):
    """A signal, stored with its order; see `rules.values.Signal`."""

    __tablename__ = "signals"
    __table_args__ = (
        UniqueConstraint("tenant_id", "id"),
        ForeignKeyConstraint(["tenant_id", "portfolio_id"], ["portfolios.tenant_id", "portfolios.id"]),
        CheckConstraint(f"mode IN {_MODES}", name="mode_is_known"),
        CheckConstraint(f"size_kind IN {_SIZES}", name="size_is_known"),
        CheckConstraint(
            "status IN ('received', 'filled', 'ordered', 'awaiting_approval', 'recorded', 'expired',"
            " 'rejected')",
            name="status_is_known",
        ),
        CheckConstraint("(status = 'received') = (completed_at IS NULL)", name="outcome_has_a_time"),
        Index(None, "tenant_id", "number"),
        build_partial_index("ix_signals_received", IS_RECEIVED, "received_at"),
    )

    number: Mapped[int] = mapped_column(Serial, primary_key=True)
    tenant_id: Mapped[int] = mapped_column(Integer)
    id: Mapped[str] = mapped_column(String(150))
    channel: Mapped[str] = mapped_column(String(5))
    source: Mapped[str] = mapped_column(String(60))
    person: Mapped[str | None] = mapped_column(String(300))
    strategy: Mapped[str | None] = mapped_column(String(100))
    portfolio_id: Mapped[int] = mapped_column(BigInteger)
    symbol: Mapped[str] = mapped_column(String(40))
    side: Mapped[str | None] = mapped_column(String(4))
    size_kind: Mapped[str] = mapped_column(String(17))
    size_value: Mapped[Decimal | None] = mapped_column(Amount)
    price: Mapped[Decimal | None] = mapped_column(Amount)
    reason: Mapped[str | None] = mapped_column(Text)
    mode: Mapped[str] = mapped_column(String(7))
    expires_at: Mapped[datetime | None] = mapped_column(Instant)
    request_hash: Mapped[str] = mapped_column(String(64))
    order_side: Mapped[str | None] = mapped_column(String(4))
    quantity: Mapped[Decimal | None] = mapped_column(Amount)
    notional: Mapped[Decimal | None] = mapped_column(Amount)
    status: Mapped[str] = mapped_column(String(17))
    outcome_reason: Mapped[str | None] = mapped_column(Text)
    order_ids: Mapped[str] = mapped_column(Text)
    received_at: Mapped[datetime] = mapped_column(Instant)
    completed_at: Mapped[datetime | None] = mapped_column(Instant)
    latency_ms: Mapped[int | None] = mapped_column(Integer)


class SignalHookRow(Base):
    """An address that receives signals without a key; see `queries.hooks.Hook`."""

    __tablename__ = "signal_hooks"
    __table_args__ = (UniqueConstraint("token_hash"), Index(None, "tenant_id", "created_at"))

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    tenant_id: Mapped[int] = mapped_column(Integer, ForeignKey("tenants.id"))
    name: Mapped[str] = mapped_column(String(60))
    token_hash: Mapped[str] = mapped_column(String(64))
    strategy: Mapped[str | None] = mapped_column(String(100))
    template: Mapped[str | None] = mapped_column(Text)
    paths: Mapped[str | None] = mapped_column(Text)
    networks: Mapped[str | None] = mapped_column(Text)
    max_age_seconds: Mapped[int] = mapped_column(Integer)
    created_by: Mapped[str] = mapped_column(String(300))
    created_at: Mapped[datetime] = mapped_column(Instant)
    rotated_at: Mapped[datetime | None] = mapped_column(Instant)
