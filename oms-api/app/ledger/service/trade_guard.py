"""Define the checks that other packages apply to reported trades: kill switches, permissions, open orders."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Connection
from typing_extensions import override

from app.ledger.rules.keys import PortfolioKey
from app.ledger.service.commands import RecordTrade
from app.ledger.service.portfolio_state import PortfolioState
from app.money import ZERO

# The third argument is the signed position.
ReservedQuantity = Callable[[PortfolioState, RecordTrade, Decimal], Decimal]


class BrokerChoice(NamedTuple):
    """A broker, and the name of the tenant's connection to it: None for the paper market."""

    broker: str
    connection: str | None


class Guard(Protocol):
    """Checks reported trades. One instance serves a process.

    `load` is called first in a batch. `find_refusal` then reads only memory.
    """

    def get_opening_state(self, connection: Connection, tenant_id: int, name_key: str) -> str:
        """Return the trading state of a portfolio that is about to be created."""

    def rename(self, connection: Connection, tenant_id: int, key: str, new_key: str, new_name: str) -> None:
        """Move the settings that refer to a portfolio by name to its new name."""

    def assign_broker(
        self, connection: Connection, tenant_id: int, name_key: str, choice: BrokerChoice
    ) -> dict[str, Any]:
        """Return the settings, by column, that let a portfolio's orders go to another broker.

        Raises Conflict if the portfolio is not flat or the connection serves another one, and NotFound if
        there is no such connection.
        """

    def load(self, connection: Connection, tenant_ids: Collection[int], now: datetime) -> None:
        """Load the settings of the tenants if they are not cached."""

    def find_refusal(self, command: RecordTrade, portfolio: PortfolioState) -> str | None:
        """Return why the caller may not make the trade, None if they may."""

    def load_switch_scopes(
        self, connection: Connection, portfolios: Sequence[PortfolioState]
    ) -> dict[PortfolioKey, str]:
        """Return the scope of the kill switch that stops each portfolio: tenant or portfolio."""

    def get_reserved_quantity(
        self, connection: Connection, portfolio: PortfolioState, command: RecordTrade, held_quantity: Decimal
    ) -> Decimal:
        """Return the quantity of the position that working orders of the trade's side will close.

        `held_quantity` is the signed position. Exits do not count, because the trade reduces them.
        """


class Unguarded(Guard):
    """A guard that allows everything."""

    @override
    def get_opening_state(self, connection: Connection, tenant_id: int, name_key: str) -> str:
        return "ACTIVE"

    @override
    def rename(self, connection: Connection, tenant_id: int, key: str, new_key: str, new_name: str) -> None:
        pass

    @override
    def assign_broker(
        self, connection: Connection, tenant_id: int, name_key: str, choice: BrokerChoice
    ) -> dict[str, Any]:
        return {"broker": choice.broker, "broker_connection": choice.connection}

    @override
    def load(self, connection: Connection, tenant_ids: Collection[int], now: datetime) -> None:
        pass

    @override
    def find_refusal(self, command: RecordTrade, portfolio: PortfolioState) -> str | None:
        return None

    @override
    def load_switch_scopes(
        self, connection: Connection, portfolios: Sequence[PortfolioState]
    ) -> dict[PortfolioKey, str]:
        return {portfolio.key: "portfolio" for portfolio in portfolios}

    @override
    def get_reserved_quantity(
        self,
        connection: Connection,
        portfolio: PortfolioState,
        command: RecordTrade,
        position_quantity: Decimal,
    ) -> Decimal:
        return ZERO


UNGUARDED = Unguarded()
