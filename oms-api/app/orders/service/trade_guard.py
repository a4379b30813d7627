"""Check reported trades against risk settings and open orders."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection
from typing_extensions import override

from app.brokers.errors import ConnectionInUse, ConnectionNotValid, NoSuchConnection, PortfolioNotFlat
from app.brokers.queries import find_connection, load_names_by_connection
from app.ledger.rules.keys import PortfolioKey
from app.ledger.service.commands import RecordTrade
from app.ledger.service.portfolio_state import PortfolioState
from app.ledger.service.trade_guard import BrokerChoice, Guard
from app.money import ZERO
from app.orders.queries.broker_assignment import has_open_orders_or_positions, lock_portfolio
from app.orders.queries.orders import list_open_orders_in_symbol
from app.orders.rules.contingency import can_only_close
from app.orders.rules.values import WORKING_STATUSES, Order
from app.risk.queries import portfolio_names
from app.risk.queries.switches import load_opening_state, load_switches
from app.risk.rules.limits import LimitSubject
from app.risk.rules.permissions import find_permission_refusal
from app.risk.rules.switches import SwitchScope
from app.risk.service.controls import Controls
from app.text import label_key


@dataclass(frozen=True, slots=True)
class OrderTradeGuard(Guard):
    """Guards reported trades. One instance serves a process."""

    controls: Controls

    @override
    def get_opening_state(self, connection: Connection, tenant_id: int, name_key: str) -> str:
        return load_opening_state(connection, tenant_id, name_key)

    @override
    def rename(self, connection: Connection, tenant_id: int, key: str, new_key: str, new_name: str) -> None:
        portfolio_names.rename_portfolio(connection, tenant_id, key, new_key, new_name)

    @override
    def assign_broker(
        self, connection: Connection, tenant_id: int, name_key: str, choice: BrokerChoice
    ) -> dict[str, Any]:
        portfolio = lock_portfolio(connection, tenant_id, name_key)
        if (choice.broker, choice.connection) == (portfolio.broker, portfolio.connection):
            return {}
        if has_open_orders_or_positions(connection, tenant_id, portfolio.id):
            raise PortfolioNotFlat(portfolio.name)
        columns = {"broker": choice.broker, "broker_connection": choice.connection}
        if choice.connection is None:
            return columns | {"kind": "paper"}
        stored = find_connection(connection, tenant_id, choice.connection, locks=True)
        if stored is None:
            raise NoSuchConnection(choice.connection)
        if stored.broker != choice.broker:
            raise ConnectionNotValid("connection", f"Must be a connection to {choice.broker}.")
        other = load_names_by_connection(connection, tenant_id).get(choice.connection)
        if other is not None:
            raise ConnectionInUse(choice.connection, other)
        return columns | {"kind": "live" if stored.is_live else "paper"}

    @override
    def load(self, connection: Connection, tenant_ids: Collection[int], now: datetime) -> None:
        self.controls.refresh(connection, tenant_ids, now)

    @override
    def find_refusal(self, command: RecordTrade, portfolio: PortfolioState) -> str | None:
        origin = command.origin
        if not self.controls.has_lists(origin.tenant_id):
            return None
        subject = LimitSubject(
            portfolio_name_key=portfolio.name_key,
            symbol=command.symbol,
            user=label_key(origin.actor or origin.user_label or "") or None,
            is_live=portfolio.kind == "live",
            key=f"key:{origin.source}" if origin.actor is None else None,
        )
        permission = self.controls.get_limits(origin.tenant_id, subject).permission
        refusal = find_permission_refusal(permission, command.symbol, command.side.value, command.product)
        return None if refusal is None else f"You may not trade this {refusal.what}: {refusal.asked}."

    @override
    def load_switch_scopes(
        self, connection: Connection, portfolios: Sequence[PortfolioState]
    ) -> dict[PortfolioKey, str]:
        switches = load_switches(connection, {portfolio.tenant_id for portfolio in portfolios})
        scopes: dict[PortfolioKey, str] = {}
        for portfolio in portfolios:
            state, scope = switches[portfolio.tenant_id].get_state(portfolio.name_key)
            is_set = state.value == portfolio.trading_state
            scopes[portfolio.key] = scope if is_set else SwitchScope.PORTFOLIO
        return scopes

    @override
    def get_reserved_quantity(
        self,
        connection: Connection,
        portfolio: PortfolioState,
        command: RecordTrade,
        position_quantity: Decimal,
    ) -> Decimal:
        portfolio_key = portfolio.key
        return get_working_quantity(
            list_open_orders_in_symbol(connection, portfolio_key, command.symbol), command, position_quantity
        )


def get_working_quantity(
    orders: Iterable[Order], command: RecordTrade, position_quantity: Decimal
) -> Decimal:
    """Return the open quantity of the working orders with the trade's symbol, product and side.

    Exits of the position `position_quantity` do not count, because the trade reduces them.
    """
    orders_of_side = (
        order for order in orders if (order.product, order.side) == (command.product, command.side.value)
    )
    other_orders = (
        order
        for order in orders_of_side
        if order.status in WORKING_STATUSES and not can_only_close(order, position_quantity)
    )
    return sum((order.leaves_quantity for order in other_orders), ZERO)
