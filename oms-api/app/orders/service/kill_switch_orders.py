"""Apply a kill switch: cancel orders, and close positions at market despite the halt."""

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from app.database import Readers
from app.errors import OmsError
from app.identity.rules.authenticated_request import AuthenticatedRequest
from app.ledger.errors import NoSuchPortfolio
from app.ledger.rules.keys import PositionKey
from app.money import ZERO, format_fixed, shorten_quantity
from app.orders.queries import open_positions as queries
from app.orders.queries.open_positions import PositionToClose
from app.orders.rules.values import FINAL_STATUSES, Order
from app.orders.service.order_service import OrderService
from app.risk.rules.switches import ExitPolicy, SwitchScope, UnconfirmedCancel
from app.risk.service.kill_switches import KillSwitchEffect, KillSwitchInstruction

FLATTEN_REASON = "Flattened by the kill switch"
CANCEL_REASONS_BY_KEEPS_EXITS = {True: "Trading is halted", False: "Canceled by the kill switch"}


@dataclass(frozen=True, slots=True)
class KillSwitchOrders:
    """Cancels orders and closes positions for kill switches. One instance serves a process."""

    order_service: OrderService
    readers: Readers

    async def apply(
        self,
        request: AuthenticatedRequest,
        instruction: KillSwitchInstruction,
        locked: Collection[str],
        only: Collection[str] | None,
        seconds: float,
    ) -> KillSwitchEffect:
        """Cancel the orders in the scope of a kill switch, and close the positions if it flattens.

        Portfolios in `locked` are skipped, because another transaction locks them. If `only` is given, all
        other portfolios are skipped too. Cancellations that take longer than `seconds` continue, and their
        portfolios are returned as pending. For a strategy, only the part of each position that its own
        executions built is closed.
        """
        # The idempotency key identifies the request for the switch, not each order.
        request = request._replace(idempotency_key=None)
        effect = await self._cancel(request, instruction, locked, only, seconds)
        if instruction.exits is not ExitPolicy.FLATTEN:
            return effect
        skipped_portfolios = {*locked, *effect.pending_portfolios}
        positions = [
            position
            for position in await self._list_positions(request, instruction)
            if only is None or position.portfolio in only
        ]
        strategy = instruction.key if instruction.scope is SwitchScope.STRATEGY else None
        closable_positions = [
            position for position in positions if position.portfolio not in skipped_portfolios
        ]
        closing_order_ids = [
            order_id
            for position in closable_positions
            for order_id in await self._close_position(request, position, strategy)
        ]
        remaining_positions = [
            _serialize_position(position) for position in await self._list_positions(request, instruction)
        ]
        flattened = {"canceled": effect.canceled, "closed": closing_order_ids, "left": remaining_positions}
        return effect._replace(flattened=flattened)

    async def _cancel(
        self,
        request: AuthenticatedRequest,
        instruction: KillSwitchInstruction,
        locked: Collection[str],
        only: Collection[str] | None,
        seconds: float,
    ) -> KillSwitchEffect:
        """Cancel the orders, and return the effect without the closing of positions."""
        names = [
            name
            for name in await self._list_portfolio_names(request, instruction)
            if only is None or name in only
        ]
        tasks = {
            name: asyncio.ensure_future(self._cancel_in_portfolio(request, instruction, name))
            for name in names
            if name not in locked
        }
        if tasks:
            await asyncio.wait(tasks.values(), timeout=seconds)
        for task in tasks.values():
            if not task.done():
                task.add_done_callback(_discard)
        orders_by_portfolio = {
            name: task.result() for name, task in tasks.items() if task.done() and task.exception() is None
        }
        orders = [(name, order) for name, orders in orders_by_portfolio.items() for order in orders]
        canceled_ids = [order.id for _, order in orders if order.status in FINAL_STATUSES]
        # Orders whose broker has not confirmed the cancellation yet.
        unconfirmed = [
            _build_unconfirmed_cancel(order, name)
            for name, order in orders
            if order.status not in FINAL_STATUSES
        ]
        pending_portfolios = set(names) - orders_by_portfolio.keys()
        pending_portfolios |= {cancel.portfolio_name for cancel in unconfirmed}
        return KillSwitchEffect(
            sorted(canceled_ids), sorted(pending_portfolios), None, tuple(sorted(unconfirmed))
        )

    async def _cancel_in_portfolio(
        self, request: AuthenticatedRequest, instruction: KillSwitchInstruction, portfolio_name: str
    ) -> list[Order]:
        """Cancel orders of a portfolio, and return them. A portfolio that no longer exists has none."""
        strategy = instruction.key if instruction.scope is SwitchScope.STRATEGY else None
        keeps_exits = instruction.exits is ExitPolicy.KEEP
        try:
            result = await self.order_service.cancel_all(
                request,
                portfolio_name,
                strategy=strategy,
                reason=CANCEL_REASONS_BY_KEEPS_EXITS[keeps_exits],
                keeps_exits=keeps_exits,
            )
        except NoSuchPortfolio:
            return []
        return [view.order for view in result.orders]

    async def _list_portfolio_names(
        self, request: AuthenticatedRequest, instruction: KillSwitchInstruction
    ) -> list[str]:
        """Return the names of the portfolios with open orders in the scope of the kill switch."""
        tenant_id = request.caller.tenant_id
        portfolio = instruction.key if instruction.scope is SwitchScope.PORTFOLIO else None
        strategy = instruction.key if instruction.scope is SwitchScope.STRATEGY else None
        return await self.readers.run(
            lambda connection: queries.list_portfolio_names_with_open_orders(
                connection, tenant_id, portfolio, strategy
            ),
            tenant_id,
        )

    async def _close_position(
        self, request: AuthenticatedRequest, position: PositionToClose, strategy: str | None
    ) -> list[str]:
        position_name = (position.portfolio, position.symbol, position.product)
        quantity = None if strategy is None else abs(position.quantity)
        try:
            result = await self.order_service.close(
                request, *position_name, quantity, FLATTEN_REASON, ignores_halt=True, strategy=strategy
            )
        except OmsError:  # flat already, or refused now; `left` lists the others
            return []
        return [view.order.id for view in result.orders]

    async def _list_positions(
        self, request: AuthenticatedRequest, instruction: KillSwitchInstruction
    ) -> list[PositionToClose]:
        tenant_id = request.caller.tenant_id

        def read(connection: Connection) -> list[PositionToClose]:
            if instruction.scope is SwitchScope.STRATEGY:
                net_quantities = queries.load_net_executed_quantities(connection, tenant_id, instruction.key)
                return compute_strategy_shares(
                    tenant_id, queries.list_positions_to_close(connection, tenant_id, None), net_quantities
                )
            portfolio = instruction.key if instruction.scope is SwitchScope.PORTFOLIO else None
            return queries.list_positions_to_close(connection, tenant_id, portfolio)

        return await self.readers.run(read, tenant_id)


def _discard(task: "asyncio.Future[Any]") -> None:
    """Retrieve the result of a cancellation that finished too late, so that asyncio logs no error.

    The kill switch tries it again.
    """
    if not task.cancelled():
        task.exception()


def compute_strategy_shares(
    tenant_id: int, positions: Iterable[PositionToClose], net_quantities: Mapping[PositionKey, Decimal]
) -> list[PositionToClose]:
    """Return the parts of the positions that belong to a strategy, given its net executed quantities.

    A part is on the position's side and not larger than the position.
    """
    strategy_shares = []
    for position in positions:
        net_quantity = net_quantities.get(
            PositionKey(tenant_id, position.portfolio_id, position.symbol, position.product), ZERO
        )
        if net_quantity * position.quantity > 0:
            strategy_shares.append(position._replace(quantity=min(net_quantity, position.quantity, key=abs)))
    return strategy_shares


def _build_unconfirmed_cancel(order: Order, portfolio_name: str) -> UnconfirmedCancel:
    leaves = shorten_quantity(format_fixed(order.leaves_quantity))
    return UnconfirmedCancel(order.id, portfolio_name, order.broker, order.symbol, order.side, leaves)


def _serialize_position(position: PositionToClose) -> dict[str, Any]:
    return {
        "portfolio_name": position.portfolio,
        "symbol": position.symbol,
        "product": position.product or None,
        "quantity": shorten_quantity(format_fixed(position.quantity)),
    }
