"""Strategies as plain values."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

MANUAL = "manual"  # the strategy of orders that name none; every tenant has it


class StrategyKind(StrEnum):
    """The source of a strategy's decisions: code in this service, or signals from outside."""

    CODE = "code"
    SIGNALS = "signals"


class StrategyMode(StrEnum):
    """The kind of portfolio that a strategy trades."""

    PAPER = "paper"
    LIVE = "live"


class StrategyStatus(StrEnum):
    """The status of a strategy.

    INACTIVE: it does not run. ACTIVE: it runs. PAUSED: it is not called, but its exit orders stay open.
    ERROR: it failed. To start it again, send `acknowledge_error`.
    """

    INACTIVE = "INACTIVE"
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    ERROR = "ERROR"


class Strategy(NamedTuple):
    """A strategy of a tenant, with all columns of its row.

    `entry_point` is MODULE:CLASS, and `code_hash` the hash of that code when the version was made; both are
    None for signals. `symbols` are separated by spaces, `parameters` is JSON text. `version` counts the
    changes of code, parameters, symbols and interval, and `run` the starts.
    """

    tenant_id: int
    name: str
    id: str
    kind: StrategyKind
    portfolio_id: int | None
    parameters: str
    mode: StrategyMode
    status: StrategyStatus
    created_by: str
    created_at: datetime
    updated_by: str
    updated_at: datetime
    version: int = 1
    run: int = 0
    entry_point: str | None = None
    code_hash: str | None = None
    symbols: str | None = None
    interval: str | None = None
    reason: str | None = None
    last_error: str | None = None
    failed_at: datetime | None = None
    started_by: str | None = None
    started_at: datetime | None = None

    @property
    def symbol_names(self) -> list[str]:
        """The symbols."""
        return (self.symbols or "").split()


class StrategyVersion(NamedTuple):
    """The version of a strategy from one change to the next."""

    tenant_id: int
    strategy: str
    version: int
    entry_point: str
    code_hash: str
    symbols: str
    interval: str
    parameters: str
    created_by: str
    created_at: datetime
