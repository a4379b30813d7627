"""Define the tables of limits, kill switches and latches."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import CheckConstraint, Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Amount, Base, Instant, Serial, build_partial_index
from app.instruments.models import SymbolText

_STATES = "state IN ('ACTIVE', 'REDUCING', 'HALTED')"
_SCOPES = "scope IN ('tenant', 'portfolio', 'strategy')"
IS_ACTIVE = text("released_at IS NULL")


class LimitRow(Base):
    """A limit. A temporary limit (`is_temporary`) and a permanent one of the same kind have separate rows.

    `name_key` is empty for the tenant's own limits. A list of permitted values is in `words`, separated by
    commas, and its `value` is zero.
    """

    __tablename__ = "limits"
    __table_args__ = (
        CheckConstraint(
            "scope IN ('tenant', 'portfolio', 'user', 'strategy', 'instrument', 'asset_class')",
            name="scope_is_known",
        ),
        CheckConstraint("(scope = 'tenant') = (name_key = '')", name="all_but_the_tenant_have_a_name"),
        CheckConstraint("CAST(value AS NUMERIC) >= 0", name="value_is_not_negative"),
        CheckConstraint("(is_temporary = 1) = (until IS NOT NULL)", name="a_temporary_one_ends"),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    scope: Mapped[str] = mapped_column(String(12), primary_key=True)
    name_key: Mapped[str] = mapped_column(String(300), primary_key=True)
    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    is_temporary: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    value: Mapped[Decimal] = mapped_column(Amount)
    words: Mapped[str | None] = mapped_column(Text)
    until: Mapped[datetime | None] = mapped_column(Instant)
    set_by: Mapped[str] = mapped_column(String(300))
    set_at: Mapped[datetime] = mapped_column(Instant)


class KillSwitchRow(Base):
    """The current state of a kill switch. A scope without a row is ACTIVE."""

    __tablename__ = "kill_switches"
    __table_args__ = (
        CheckConstraint(_SCOPES, name="scope_is_known"),
        CheckConstraint(_STATES, name="state_is_known"),
        CheckConstraint("(scope = 'tenant') = (name_key = '')", name="all_but_the_tenant_have_a_name"),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    scope: Mapped[str] = mapped_column(String(12), primary_key=True)
    name_key: Mapped[str] = mapped_column(String(300), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    state: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str | None] = mapped_column(Text)
    set_by: Mapped[str] = mapped_column(String(300))
    set_at: Mapped[datetime] = mapped_column(Instant)


class KillSwitchChangeRow(Base):
    """One change of a kill switch, append-only by trigger, with its idempotency key."""

    __tablename__ = "kill_switch_changes"
    __table_args__ = (
        CheckConstraint(_SCOPES, name="scope_is_known"),
        CheckConstraint(_STATES, name="state_is_known"),
        CheckConstraint("(idempotency_key IS NULL) = (request_hash IS NULL)", name="key_has_request_hash"),
        UniqueConstraint("tenant_id", "idempotency_key"),
        Index(None, "tenant_id", "id"),
    )

    id: Mapped[int] = mapped_column(Serial, primary_key=True)
    tenant_id: Mapped[int] = mapped_column(Integer)
    scope: Mapped[str] = mapped_column(String(12))
    name_key: Mapped[str] = mapped_column(String(300))
    name: Mapped[str] = mapped_column(String(100))
    state: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str | None] = mapped_column(Text)
    set_by: Mapped[str] = mapped_column(String(300))
    set_at: Mapped[datetime] = mapped_column(Instant)
    idempotency_key: Mapped[str | None] = mapped_column(String(200))
    request_hash: Mapped[str | None] = mapped_column(String(64))


class LatchRow(Base):
    """A latch: a strategy or an API key may place no more automatic orders in a symbol until it is released.

    At most one latch per subject is active. Released latches are kept as a record.
    """

    __tablename__ = "latches"
    __table_args__ = (
        CheckConstraint("scope IN ('strategy', 'key')", name="scope_is_known"),
        CheckConstraint("(released_at IS NULL) = (released_by IS NULL)", name="a_released_one_says_by_whom"),
        build_partial_index(
            "uq_latches_standing", IS_ACTIVE, "tenant_id", "scope", "name", "symbol", unique=True
        ),
    )

    tenant_id: Mapped[int] = mapped_column(Integer, primary_key=True)
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    scope: Mapped[str] = mapped_column(String(12))
    name: Mapped[str] = mapped_column(String(100))
    symbol: Mapped[str] = mapped_column(SymbolText)
    executions: Mapped[int] = mapped_column(Integer)
    most: Mapped[int] = mapped_column(Integer)
    set_at: Mapped[datetime] = mapped_column(Instant)
    released_at: Mapped[datetime | None] = mapped_column(Instant)
    released_by: Mapped[str | None] = mapped_column(String(300))
    reason: Mapped[str | None] = mapped_column(Text)
