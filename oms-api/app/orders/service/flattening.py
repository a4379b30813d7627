"""Flattening: everything cancelled, and every position closed at market, in spite of the kill switch."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from app.database import Readers
from app.errors import OmsError
from app.ledger.service.desk import Asking
from app.orders.queries import flat as queries
from app.orders.queries.flat import Held
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

        A strategy holds no positions of its own: its orders are cancelled, and nothing is closed.
        """
        canceled = await self._cancel(asking, scope, key)
        held = [] if scope is SwitchScope.STRATEGY else await self._held(asking, scope, key)
        closed = [order_id for one in held for order_id in await self._close(asking, one)]
        left = [] if scope is SwitchScope.STRATEGY else await self._held(asking, scope, key)
        return {"canceled": canceled, "closed": closed, "left": [_told(one) for one in left]}

    async def _cancel(self, asking: Asking, scope: SwitchScope, key: str) -> list[str]:
        portfolio = key if scope is SwitchScope.PORTFOLIO else None
        strategy = key if scope is SwitchScope.STRATEGY else None
        try:
            done = await self.desk.cancel_all(asking, portfolio, strategy=strategy, reason=REASON)
        except OmsError:  # no such portfolio: nothing of it works
            return []
        return [shown.order.id for shown in done.orders]

    async def _close(self, asking: Asking, held: Held) -> list[str]:
        try:
            done = await self.desk.close(
                asking, held.portfolio, held.symbol, held.product, None, REASON, in_spite_of_halt=True
            )
        except OmsError:  # flat already, or not now: what is left is told
            return []
        return [shown.order.id for shown in done.orders]

    async def _held(self, asking: Asking, scope: SwitchScope, key: str) -> list[Held]:
        portfolio_key = key if scope is SwitchScope.PORTFOLIO else None

        def read(connection: Connection) -> list[Held]:
            return queries.held_by(connection, asking.caller.tenant_id, portfolio_key)

        return await self.readers.run(read, asking.caller.tenant_id)


def _told(held: Held) -> dict[str, Any]:
    return {
        "portfolio_name": held.portfolio,
        "symbol": held.symbol,
        "product": held.product or None,
        "quantity": held.quantity,
    }
