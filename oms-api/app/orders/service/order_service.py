"""The entry point for orders: validate the request, submit it to the writer, and wait for the commit."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from app.clock import Now
from app.database import Readers
from app.errors import FieldError, Invalid, OmsError
from app.group_commit import GroupCommit
from app.identity.errors import NotYourPortfolio
from app.identity.rules.access import Operation
from app.identity.rules.authenticated_request import AuthenticatedRequest
from app.ledger.errors import NoSuchPortfolio
from app.ledger.rules.chain import hash_request
from app.ledger.service.commands import CommandOrigin
from app.ledger.service.portfolio_statements import find_similar_names
from app.market_data.rules.values import Quote
from app.orders.rules.order_views import ApprovalView, OrderChanges, OrderPreview
from app.orders.rules.values import GroupKind, StopLoss, TakeProfit, Ticket
from app.orders.service.command_results import OrderResult, Outcome, WaitingApprovals
from app.orders.service.commands import (
    BustExecution,
    CancelAll,
    CancelOrder,
    ClosePosition,
    CorrectExecution,
    DecideApproval,
    PlaceGroup,
    PlaceOrder,
    PreviewOrder,
    ReplaceOrder,
    RequestOverride,
    ReviewApprovals,
    SetExits,
    UserCommand,
    WriterCommand,
)
from app.orders.service.quote_matcher import QuoteMatcher
from app.orders.service.request_values import format_value, list_ticket_values, validate_ticket
from app.text import name_key


@dataclass(frozen=True, slots=True)
class OrderService:
    """Accepts requests for orders. One instance serves a process."""

    writer: "GroupCommit[WriterCommand, Outcome]"
    matcher: QuoteMatcher
    now: Now
    readers: Readers

    def build_place_command(self, request: AuthenticatedRequest, name: str, ticket: Ticket) -> PlaceOrder:
        """Return the command that places an order. Raises Invalid if the ticket is malformed.

        A denied or rejected order is an outcome of the command, not an error.
        """
        portfolio_name_key = _require_visible_portfolio(request, name)
        origin = self._build_origin(request, "place", portfolio_name_key, *list_ticket_values(ticket))
        validate_ticket(ticket)
        return PlaceOrder(origin, ticket, name, portfolio_name_key)

    def submit(self, command: PlaceOrder) -> "asyncio.Future[Outcome]":
        """Queue an order. The future resolves once it is committed."""
        return self.writer.submit(command)

    async def place_group(
        self, request: AuthenticatedRequest, kind: GroupKind, name: str, tickets: Sequence[Ticket]
    ) -> OrderResult:
        """Place two linked orders."""
        values = [value for ticket in tickets for value in list_ticket_values(ticket)]
        portfolio_name_key = _require_visible_portfolio(request, name)
        origin = self._build_origin(request, "group", kind, portfolio_name_key, *values)
        for number, ticket in enumerate(tickets):
            is_exit = kind is GroupKind.OCO or number > 0
            validate_ticket(ticket, f"orders.{number}.", is_exit=is_exit)
        names = [ticket.client_order_id for ticket in tickets if ticket.client_order_id]
        if len(set(names)) < len(names):
            message = "Each order of a group needs a different `client_order_id`."
            raise Invalid(message, [FieldError("orders.1.client_order_id", message, "not_unique")])
        return await self._submit_for_orders(
            PlaceGroup(origin, kind, tuple(tickets), name, portfolio_name_key)
        )

    async def preview(self, request: AuthenticatedRequest, name: str, ticket: Ticket) -> OrderPreview:
        """Compute the effect of a ticket without sending it."""
        origin = self._build_origin(request, "preview")
        validate_ticket(ticket)
        outcome = await self._submit_and_wait(
            PreviewOrder(origin, ticket, name, _require_visible_portfolio(request, name))
        )
        assert isinstance(outcome, OrderPreview)  # noqa: S101  # for the type checker
        return outcome

    async def cancel(self, request: AuthenticatedRequest, order_id: str, reason: str | None) -> OrderResult:
        """Cancel an order."""
        return await self._submit_for_orders(
            CancelOrder(self._build_origin(request, "cancel", order_id, reason), order_id, reason)
        )

    async def replace(
        self, request: AuthenticatedRequest, order_id: str, changes: OrderChanges
    ) -> OrderResult:
        """Replace an order by a successor."""
        origin = self._build_origin(request, "replace", order_id, *map(format_value, changes))
        return await self._submit_for_orders(ReplaceOrder(origin, order_id, changes))

    async def approve(
        self, request: AuthenticatedRequest, order_id: str, reason: str | None, price_seen: Decimal | None
    ) -> OrderResult:
        """Approve an order that waits. The risk checks run again, so the order may be denied."""
        return await self._decide(request, order_id, reason, price_seen, is_granted=True)

    async def reject(self, request: AuthenticatedRequest, order_id: str, reason: str) -> OrderResult:
        """Reject an order that waits."""
        return await self._decide(request, order_id, reason, None, is_granted=False)

    async def _decide(
        self,
        request: AuthenticatedRequest,
        order_id: str,
        reason: str | None,
        price_seen: Decimal | None,
        *,
        is_granted: bool,
    ) -> OrderResult:
        operation = "approve" if is_granted else "reject"
        origin = self._build_origin(request, operation, order_id, reason, format_value(price_seen))
        role = _get_role(request)
        return await self._submit_for_orders(
            DecideApproval(origin, order_id, is_granted, reason, price_seen, role)
        )

    async def request_override(
        self, request: AuthenticatedRequest, order_id: str, reason: str, expires_minutes: int
    ) -> OrderResult:
        """Place a denied order again, to wait for a second person."""
        origin = self._build_origin(request, "override", order_id, reason, str(expires_minutes))
        return await self._submit_for_orders(RequestOverride(origin, order_id, reason, expires_minutes))

    async def list_approvals(self, request: AuthenticatedRequest, limit: int) -> Sequence[ApprovalView]:
        """Return the orders that wait and on which the caller may decide, oldest first."""
        if not request.caller.is_allowed(Operation.DECIDE_APPROVAL):
            return ()
        origin = self._build_origin(request, "approvals")
        outcome = await self._submit_and_wait(ReviewApprovals(origin, _get_role(request), limit))
        assert isinstance(outcome, WaitingApprovals)  # noqa: S101  # for the type checker
        return outcome.approvals

    async def bust(
        self, request: AuthenticatedRequest, order_id: str, execution_id: str, reason: str
    ) -> OrderResult:
        """Reverse an execution of an order that its venue canceled."""
        origin = self._build_origin(request, "bust", order_id, execution_id, reason)
        return await self._submit_for_orders(BustExecution(origin, order_id, execution_id, reason))

    async def correct(
        self,
        request: AuthenticatedRequest,
        order_id: str,
        execution_id: str,
        quantity: Decimal | None,
        price: Decimal | None,
        reason: str,
    ) -> OrderResult:
        """Change the quantity or the price of an execution of an order."""
        values = (order_id, execution_id, format_value(quantity), format_value(price), reason)
        origin = self._build_origin(request, "correct", *values)
        return await self._submit_for_orders(
            CorrectExecution(origin, order_id, execution_id, quantity, price, reason)
        )

    async def cancel_all(
        self,
        request: AuthenticatedRequest,
        portfolio_name: str,
        symbol: str | None = None,
        side: str | None = None,
        strategy: str | None = None,
        reason: str | None = None,
        keeps_exits: bool = False,
    ) -> OrderResult:
        """Cancel all open orders of a portfolio that match.

        With `keeps_exits`, cancel only orders that could open or increase a position.
        """
        portfolio_name_key = _require_visible_portfolio(request, portfolio_name)
        origin = self._build_origin(request, "cancel-all")
        return await self._submit_for_orders(
            CancelAll(origin, portfolio_name, portfolio_name_key, symbol, side, strategy, reason, keeps_exits)
        )

    async def close(
        self,
        request: AuthenticatedRequest,
        name: str,
        symbol: str,
        product: str,
        quantity: Any,
        reason: str | None,
        ignores_halt: bool = False,
        strategy: str | None = None,
    ) -> OrderResult:
        """Close a position, or `quantity` of it."""
        portfolio_name_key = _require_visible_portfolio(request, name)
        origin = self._build_origin(
            request, "close", portfolio_name_key, symbol, product, format_value(quantity), reason
        )
        values = (symbol, product, quantity, reason, ignores_halt, strategy)
        return await self._submit_for_orders(ClosePosition(origin, name, portfolio_name_key, *values))

    async def set_exits(
        self,
        request: AuthenticatedRequest,
        name: str,
        symbol: str,
        product: str,
        take_profit: TakeProfit | None,
        stop_loss: StopLoss | None,
    ) -> OrderResult:
        """Replace the exits of a position."""
        legs = (take_profit or (None,)) + (stop_loss or (None, None))
        portfolio_name_key = _require_visible_portfolio(request, name)
        origin = self._build_origin(
            request, "exits", portfolio_name_key, symbol, product, *map(format_value, legs)
        )
        return await self._submit_for_orders(
            SetExits(origin, name, portfolio_name_key, symbol, product, take_profit, stop_loss)
        )

    async def publish(self, tenant_id: int, quote: Quote) -> None:
        """Store a quote and match the working orders of its symbol; see `QuoteMatcher`."""
        await self.matcher.publish(tenant_id, quote)

    async def _submit_for_orders(self, command: UserCommand) -> OrderResult:
        outcome = await self._submit_and_wait(command)
        assert isinstance(outcome, OrderResult)  # noqa: S101  # for the type checker
        return outcome

    async def _submit_and_wait(self, command: UserCommand) -> Outcome:
        try:
            return await self.writer.submit(command)
        except OmsError as error:
            raise await self.enrich_error(command, error) from None

    async def enrich_error(self, command: UserCommand, error: OmsError) -> OmsError:
        """Return the error of a command. The error of an unknown portfolio lists the nearest names.

        The names are read here and not in the writer, so that a wrong name does not delay other commands.
        """
        if not isinstance(error, NoSuchPortfolio):
            return error
        origin, name = command.origin, error.name
        nearest = await self.readers.run(
            lambda connection: find_similar_names(connection, origin.tenant_id, name, origin.portfolios),
            origin.tenant_id,
        )
        return NoSuchPortfolio(name, nearest)

    def _build_origin(
        self, request: AuthenticatedRequest, operation: str, *values: str | None
    ) -> CommandOrigin:
        """Return the origin of the request. Its hash identifies the request for keys and client order ids."""
        caller = request.caller
        return CommandOrigin(
            tenant_id=caller.tenant_id,
            source=caller.name,
            user_label=None,
            at=self.now(),
            idempotency_key=f"{operation}:{request.idempotency_key}" if request.idempotency_key else None,
            request_hash=hash_request(operation, *values),
            actor=caller.person,
            request_id=request.request_id,
            portfolios=caller.portfolios,
        )


def _require_visible_portfolio(request: AuthenticatedRequest, name: str) -> str:
    """Return the portfolio's name key. Raises NotYourPortfolio if the caller may not see it."""
    portfolio_name_key = name_key(name)
    if not request.caller.can_see(portfolio_name_key):
        raise NotYourPortfolio
    return portfolio_name_key


def _get_role(request: AuthenticatedRequest) -> str | None:
    return None if request.caller.role is None else request.caller.role.value
