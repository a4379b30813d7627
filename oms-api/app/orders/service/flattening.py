"""Flattening: everything cancelled, and every position closed at market, in spite of the kill switch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection

from app.database import Readers
from app.errors import OmsError
from app.ledger.service.desk import Asking
from app.money import ZERO, fixed, quantity_text
from app.orders.queries import flat as queries
from app.orders.queries.flat import Corner, Held
from app.orders.service.desk import OrderDesk
from app.risk.rules.switches import SwitchScope

REASON = "Flattened by the kill switch"


@dataclass(frozen=True, slots=True)
class Flattening:
    """One for each process."""

    desk: OrderDesk
    readers: Readers

    async def flatten(self, asking: Asking, scope: SwitchScope, key: str) -> dict[str, Any]:
        """Return the proof: the orders that were cancelled, those that closed positions, and what is left.

        Of a strategy what its own executions left of each position is closed, and nothing of the others'.
        """
        asking = asking._replace(key=None)  # it binds the turn of the switch, and no single order
        canceled = await self._cancel(asking, scope, key)
        held = await self._held(asking, scope, key)
        strategy = key if scope is SwitchScope.STRATEGY else None
        closed = [order_id for one in held for order_id in await self._close(asking, one, strategy)]
        left = await self._held(asking, scope, key)
        return {"canceled": canceled, "closed": closed, "left": [_told(one) for one in left]}

    async def _cancel(self, asking: Asking, scope: SwitchScope, key: str) -> list[str]:
        portfolio = key if scope is SwitchScope.PORTFOLIO else None
        strategy = key if scope is SwitchScope.STRATEGY else None
        try:
            done = await self.desk.cancel_all(asking, portfolio, strategy=strategy, reason=REASON)
        except OmsError:  # no such portfolio: nothing of it works
            return []
        return [shown.order.id for shown in done.orders]

    async def _close(self, asking: Asking, held: Held, strategy: str | None) -> list[str]:
        place = (held.portfolio, held.symbol, held.product)
        quantity = None if strategy is None else abs(held.quantity)
        try:
            done = await self.desk.close(
                asking, *place, quantity, REASON, in_spite_of_halt=True, strategy=strategy
            )
        except OmsError:  # flat already, or not now: what is left is told
            return []
        return [shown.order.id for shown in done.orders]

    async def _held(self, asking: Asking, scope: SwitchScope, key: str) -> list[Held]:
        tenant_id = asking.caller.tenant_id

        def read(connection: Connection) -> list[Held]:
            if scope is SwitchScope.STRATEGY:
                nets = queries.nets_of(connection, tenant_id, key)
                return shares(queries.held_by(connection, tenant_id, None), nets)
            return queries.held_by(connection, tenant_id, key if scope is SwitchScope.PORTFOLIO else None)

        return await self.readers.run(read, tenant_id)


def shares(held: Iterable[Held], nets: Mapping[Corner, Decimal]) -> list[Held]:
    """Return what of the positions is a strategy's by its net executions: on the same side, and no more than
    there is.
    """
    found = []
    for one in held:
        net = nets.get((one.portfolio_id, one.symbol, one.product), ZERO)
        if net * one.quantity > 0:
            found.append(one._replace(quantity=min(net, one.quantity, key=abs)))
    return found


def _told(held: Held) -> dict[str, Any]:
    return {
        "portfolio_name": held.portfolio,
        "symbol": held.symbol,
        "product": held.product or None,
        "quantity": quantity_text(fixed(held.quantity)),
    }
