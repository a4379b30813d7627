"""What rooms above the ledger have against a trade: kill switches, lists of what may be traded, orders."""

from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from sqlalchemy import Connection
from typing_extensions import override

from app.ledger.service.books import PortfolioState
from app.ledger.service.commands import RecordTrade
from app.money import ZERO


class Guard(Protocol):
    """One for each process. `look` comes first in a batch; then `forbids` answers from memory."""

    def opening_state(self, connection: Connection, tenant_id: int, name_key: str) -> str:
        """Return the trading state of a portfolio that is about to be made."""
        ...

    def renamed(self, connection: Connection, tenant_id: int, key: str, new_key: str, new_name: str) -> None:
        """Let what was said of a portfolio by its name be said of its new name."""
        ...

    def load(self, connection: Connection, tenant_ids: Collection[int], now: datetime) -> None:
        """Read what is set for the tenants, where it is not known well enough."""
        ...

    def forbids(self, work: RecordTrade, portfolio: PortfolioState) -> str | None:
        """Return why the caller may not trade this, None where they may."""
        ...

    def stopped_by(self, connection: Connection, portfolio: PortfolioState) -> str:
        """Return whose kill switch stops the portfolio: tenant or portfolio."""
        ...

    def held_back(
        self, connection: Connection, portfolio: PortfolioState, work: RecordTrade, held: Decimal
    ) -> Decimal:
        """Return how much of the position `held`, signed, other orders of the trade's side are about to
        close; exits yield, and do not count.
        """
        ...


class Unguarded(Guard):
    """Where nobody is against anything."""

    @override
    def opening_state(self, connection: Connection, tenant_id: int, name_key: str) -> str:
        return "ACTIVE"

    @override
    def renamed(self, connection: Connection, tenant_id: int, key: str, new_key: str, new_name: str) -> None:
        pass

    @override
    def load(self, connection: Connection, tenant_ids: Collection[int], now: datetime) -> None:
        pass

    @override
    def forbids(self, work: RecordTrade, portfolio: PortfolioState) -> str | None:
        return None

    @override
    def stopped_by(self, connection: Connection, portfolio: PortfolioState) -> str:
        return "portfolio"

    @override
    def held_back(
        self, connection: Connection, portfolio: PortfolioState, work: RecordTrade, held: Decimal
    ) -> Decimal:
        return ZERO


UNGUARDED = Unguarded()
