"""Places, cancels and replaces the orders of a strategy by the commands of the API."""

import asyncio
from collections.abc import Coroutine
from typing import Any, NamedTuple, TypeVar

import orjson

from app.clock import monotonic_seconds
from app.errors import OmsError, TooMany, Unavailable
from app.identity.rules.access import Caller, Scope
from app.identity.rules.authenticated_request import AuthenticatedRequest
from app.orders.rules.values import Order
from app.orders.service.command_results import OrderResult
from app.orders.service.order_service import OrderService
from app.strategies.errors import MessageLimitExceeded
from app.strategies.rules.actions import Action, CancelAction, PlaceAction, ReplaceAction

SOURCE = "strategy"  # the source of the orders that the host places
WRITER_TIMEOUT_SECONDS = 30.0
MAX_MESSAGES_PER_MINUTE = 3_000  # of a strategy, even without the limit MESSAGES_PER_MINUTE
_MINUTE_SECONDS = 60.0
_LATCH_CODE = "REPEATED_EXECUTION"  # the code of the denial
T = TypeVar("T")


class OrderServiceUnavailable(Exception):
    """Raised when the writer or the database does not respond. The session repeats the action later."""


class ActionResult(NamedTuple):
    """The orders that an action created or changed, or why it was refused."""

    orders: tuple[Order, ...] = ()
    refusal: str | None = None


class OrderGateway:
    """Carries out actions for the threads of strategies. A repeated action changes nothing."""

    def __init__(self, orders: OrderService, loop: asyncio.AbstractEventLoop) -> None:
        self._orders, self._loop = orders, loop
        self._minute_end, self._messages = 0.0, 0

    def execute(
        self, tenant_id: int, portfolio_name: str, action: Action, order_id: str | None
    ) -> ActionResult:
        """Carry out an action. `order_id` is the order to cancel or replace.

        Raises MessageLimitExceeded or OrderServiceUnavailable.
        """
        self._count_message()
        try:
            return self._execute_action(tenant_id, portfolio_name, action, order_id)
        except TooMany as error:
            raise MessageLimitExceeded(error.detail) from None
        except (Unavailable, TimeoutError) as error:
            raise OrderServiceUnavailable(str(error)) from None
        except OmsError as error:
            return ActionResult(refusal=error.detail)

    def _execute_action(
        self, tenant_id: int, portfolio_name: str, action: Action, order_id: str | None
    ) -> ActionResult:
        caller = build_caller(tenant_id)
        match action:
            case PlaceAction():
                request = AuthenticatedRequest(caller, action.order_id, action.order_id)
                command = self._orders.build_place_command(request, portfolio_name, action.ticket)
                result = self._wait_for_result(self._submit_command(command))
            case CancelAction() if order_id is not None:
                result = self._wait_for_result(
                    self._orders.cancel(AuthenticatedRequest(caller, action.order_id), order_id, None)
                )
            case ReplaceAction() if order_id is not None:
                key = action.changes.client_order_id
                request = AuthenticatedRequest(caller, key or "", key)
                result = self._wait_for_result(self._orders.replace(request, order_id, action.changes))
            case _:
                return ActionResult(refusal="There is no such order.")
        orders = tuple(order for view in result.orders for order in (view.order, *view.legs))
        if any(map(_is_latched, orders)):
            raise MessageLimitExceeded(
                "The strategy executed too often in a symbol; "
                "release its latch with `POST /latches/{id}/release`."
            )
        return ActionResult(orders)

    def _count_message(self) -> None:
        if monotonic_seconds() >= self._minute_end:
            self._minute_end, self._messages = monotonic_seconds() + _MINUTE_SECONDS, 0
        self._messages += 1
        if self._messages > MAX_MESSAGES_PER_MINUTE:
            raise MessageLimitExceeded(
                f"The strategy sent more than {MAX_MESSAGES_PER_MINUTE:,} messages in a minute."
            )

    async def _submit_command(self, command: Any) -> OrderResult:  # a PlaceOrder
        outcome = await self._orders.submit(command)
        assert isinstance(outcome, OrderResult)  # noqa: S101  # for the type checker
        return outcome

    def _wait_for_result(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(WRITER_TIMEOUT_SECONDS)


def _is_latched(order: Order) -> bool:
    """Return whether a latch denied the order."""
    return order.denial is not None and orjson.loads(order.denial)["code"] == _LATCH_CODE


def build_caller(tenant_id: int) -> Caller:
    """Return the caller of the orders of strategies: no person, so that their limits and latches apply."""
    return Caller(tenant_id, SOURCE, SOURCE, frozenset({Scope.READ, Scope.TRADE}))
