"""Places, cancels and replaces the orders of a strategy by the commands of the API."""

import asyncio
from collections.abc import Coroutine
from typing import Any, NamedTuple, TypeVar

from app.errors import OmsError, TooMany, Unavailable
from app.identity.rules.access import Caller, Scope
from app.ledger.service.trade_service import RequestSource
from app.orders.rules.values import Order, Status
from app.orders.service.commands import OrderResult
from app.orders.service.order_service import OrderService
from app.strategies.rules.actions import Action, CancelAction, PlaceAction, ReplaceAction

SOURCE = "strategy"  # the source of the orders that the host places
WRITER_SECONDS = 30.0
T = TypeVar("T")


class MessageLimitExceeded(Exception):
    """The strategy sent more messages than its limit allows, or a latch stopped it. It must be paused."""


class OrderServiceUnavailable(Exception):
    """The writer or the database does not answer. The session repeats the action later."""


class ActionResult(NamedTuple):
    """The orders that an action created or changed, or why it was refused."""

    orders: tuple[Order, ...] = ()
    refusal: str | None = None


class OrderGateway:
    """Carries out actions for the threads of strategies. A repeated action changes nothing."""

    def __init__(self, orders: OrderService, loop: asyncio.AbstractEventLoop) -> None:
        self._orders, self._loop = orders, loop

    def execute(
        self, tenant_id: int, portfolio_name: str, action: Action, order_id: str | None
    ) -> ActionResult:
        """Carry out an action. `order_id` is that of the order to cancel or replace.

        Raise MessageLimitExceeded or OrderServiceUnavailable.
        """
        try:
            return self._execute(tenant_id, portfolio_name, action, order_id)
        except TooMany as refusal:
            raise MessageLimitExceeded(refusal.detail) from None
        except (Unavailable, TimeoutError) as error:
            raise OrderServiceUnavailable(str(error)) from None
        except OmsError as refusal:
            return ActionResult(refusal=refusal.detail)

    def _execute(
        self, tenant_id: int, portfolio_name: str, action: Action, order_id: str | None
    ) -> ActionResult:
        caller = build_caller(tenant_id)
        match action:
            case PlaceAction():
                source = RequestSource(caller, action.order_id, action.order_id)
                command = self._orders.build_place_command(source, portfolio_name, action.ticket)
                result = self._wait(self._submit(command))
            case CancelAction() if order_id is not None:
                result = self._wait(
                    self._orders.cancel(RequestSource(caller, action.order_id), order_id, None)
                )
            case ReplaceAction() if order_id is not None:
                key = action.changes.client_order_id
                source = RequestSource(caller, key or "", key)
                result = self._wait(self._orders.replace(source, order_id, action.changes))
            case _:
                return ActionResult(refusal="There is no such order.")
        found = tuple(order for view in result.orders for order in (view.order, *view.legs))
        if any(order.status is Status.DENIED and "LATCH" in (order.denial or "") for order in found):
            raise MessageLimitExceeded(
                "It executed too often in a symbol; release the latch with `POST /latches`."
            )
        return ActionResult(found)

    async def _submit(self, command: Any) -> OrderResult:  # a PlaceOrder
        outcome = await self._orders.submit(command)
        assert isinstance(outcome, OrderResult)  # noqa: S101  # for the type checker
        return outcome

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WRITER_SECONDS)


def build_caller(tenant_id: int) -> Caller:
    """Return the caller of the orders of strategies: no person, so that their limits and latches apply."""
    return Caller(tenant_id, SOURCE, SOURCE, frozenset({Scope.READ, Scope.TRADE}))
