"""Tables of strategies: the registry with its versions, the saved state, and the journal of inputs."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Base, Instant


def _build_strategy_key() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["tenant_id", "strategy"], ["strategies.tenant_id", "strategies.name"])


class StrategyRow(Base):
    """A strategy with its status. `rules.values.Strategy` documents the fields."""

    __tablename__ = "strategies"
    __table_args__ = (
        UniqueConstraint("tenant_id", "id"),
        ForeignKeyConstraint(["tenant_id", "portfolio_id"], ["portfolios.tenant_id", "portfolios.id"]),
        CheckConstraint("kind IN ('code', 'signals')", name="kind_is_known"),
        CheckConstraint("mode IN ('paper', 'live')", name="mode_is_known"),
        CheckConstraint("status IN ('INACTIVE', 'ACTIVE', 'PAUSED', 'ERROR')", name="status_is_known"),
        CheckConstraint(
            "(kind = 'code') = (entry_point IS NOT NULL AND code_hash IS NOT NULL"
            " AND portfolio_id IS NOT NULL AND interval IS NOT NULL AND symbols IS NOT NULL)",
            name="code_is_whole",
        ),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, ForeignKey("tenants.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    id: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(7))
    entry_point: Mapped[str | None] = mapped_column(String(300))
    code_hash: Mapped[str | None] = mapped_column(String(64))
    portfolio_id: Mapped[int | None] = mapped_column(BigInteger)
    symbols: Mapped[str | None] = mapped_column(Text)
    interval: Mapped[str | None] = mapped_column(String(3))
    parameters: Mapped[str] = mapped_column(Text)
    mode: Mapped[str] = mapped_column(String(5))
    version: Mapped[int] = mapped_column(Integer)
    status: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str | None] = mapped_column(Text)
    last_error: Mapped[str | None] = mapped_column(Text)
    failed_at: Mapped[datetime | None] = mapped_column(Instant)
    run: Mapped[int] = mapped_column(Integer)
    started_by: Mapped[str | None] = mapped_column(String(300))
    started_at: Mapped[datetime | None] = mapped_column(Instant)
    created_by: Mapped[str] = mapped_column(String(300))
    created_at: Mapped[datetime] = mapped_column(Instant)
    updated_by: Mapped[str] = mapped_column(String(300))
    updated_at: Mapped[datetime] = mapped_column(Instant)


class StrategyVersionRow(Base):
    """A version of a strategy: code by its hash, parameters, symbols and interval. It never changes."""

    __tablename__ = "strategy_versions"
    __table_args__ = (_build_strategy_key(),)

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    strategy: Mapped[str] = mapped_column(String(100), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    entry_point: Mapped[str] = mapped_column(String(300))
    code_hash: Mapped[str] = mapped_column(String(64))
    symbols: Mapped[str] = mapped_column(Text)
    interval: Mapped[str] = mapped_column(String(3))
    parameters: Mapped[str] = mapped_column(Text)
    created_by: Mapped[str] = mapped_column(String(300))
    created_at: Mapped[datetime] = mapped_column(Instant)


class StrategyStateRow(Base):
    """The state with which a strategy continues after a restart.

    `state` is the JSON of `context.state` after the input `processed`. `sequence` and `hash` belong to the
    last input of its journal.
    """

    __tablename__ = "strategy_states"
    __table_args__ = (_build_strategy_key(),)

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    strategy: Mapped[str] = mapped_column(String(100), primary_key=True)
    state: Mapped[str] = mapped_column(Text)
    processed: Mapped[int] = mapped_column(BigInteger)
    sequence: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(String(64))
    updated_at: Mapped[datetime] = mapped_column(Instant)


class StrategyInputRow(Base):
    """An input that a strategy received, in the order of `sequence`; see `rules.journal`.

    `hash` covers the row and the hash of the row before.
    """

    __tablename__ = "strategy_inputs"
    __table_args__ = (
        _build_strategy_key(),
        CheckConstraint("kind IN ('start', 'bars', 'quote', 'fill', 'order', 'stop')", name="kind_is_known"),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    strategy: Mapped[str] = mapped_column(String(100), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    run: Mapped[int] = mapped_column(Integer)
    kind: Mapped[str] = mapped_column(String(5))
    at: Mapped[datetime] = mapped_column(Instant)
    payload: Mapped[str] = mapped_column(Text)
    hash: Mapped[str] = mapped_column(String(64))
