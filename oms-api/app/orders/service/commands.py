"""Commands of the order writer."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from app.ledger.rules.corporate_actions import CorporateActionTerms
from app.ledger.service.commands import CommandOrigin, LedgerCommand
from app.ledger.service.commands import get_lock_group as get_ledger_lock_group
from app.orders.rules.cancellations import StoredCancellation
from app.orders.rules.order_views import OrderChanges
from app.orders.rules.values import GroupKind, OrderKey, StopLoss, TakeProfit, Ticket
from app.orders.service.internal_commands import ApplyBrokerReport, FinishQuote, InternalCommand, MatchQuote


class PlaceOrder(NamedTuple):
    """Check an order and its exits, and send the order to its broker. The portfolio must exist.

    With `requires_approval`, the order waits as if the approval policy of its portfolio covered every order.
    """

    origin: CommandOrigin
    ticket: Ticket
    portfolio_name: str
    portfolio_name_key: str
    requires_approval: bool = False


class PlaceSignal(NamedTuple):
    """Store a signal together with its order: see `signal_orders`.

    `signal` is a `PreparedSignal` of the package `signals`. Its preparation may find the portfolio.
    """

    origin: CommandOrigin
    signal: Any
    symbol: str
    portfolio_name: str = ""
    portfolio_name_key: str = ""


class PlaceGroup(NamedTuple):
    """Place two linked tickets of one portfolio: OCO or OTO."""

    origin: CommandOrigin
    kind: GroupKind
    tickets: tuple[Ticket, ...]
    portfolio_name: str
    portfolio_name_key: str


class PreviewOrder(NamedTuple):
    """Compute the effect of an order without placing it."""

    origin: CommandOrigin
    ticket: Ticket
    portfolio_name: str
    portfolio_name_key: str


class CancelOrder(NamedTuple):
    """Cancel an order."""

    origin: CommandOrigin
    order_id: str
    reason: str | None


class ReplaceOrder(NamedTuple):
    """Replace an order by a new order with changed terms."""

    origin: CommandOrigin
    order_id: str
    changes: OrderChanges


class DecideApproval(NamedTuple):
    """Approve or reject an order that waits for approval.

    `role` is the caller's. `price_seen` is the reference price that the approver saw last.
    """

    origin: CommandOrigin
    order_id: str
    is_granted: bool
    reason: str | None
    price_seen: Decimal | None
    role: str | None


class RequestOverride(NamedTuple):
    """Place a denied order again. It waits for a second person who may let it exceed the limit."""

    origin: CommandOrigin
    order_id: str
    reason: str
    expires_minutes: int


class ReviewApprovals(NamedTuple):
    """List the orders that wait and on which the caller may decide, oldest first."""

    origin: CommandOrigin
    role: str | None
    limit: int


class BustExecution(NamedTuple):
    """Reverse an execution of an order that its venue canceled."""

    origin: CommandOrigin
    order_id: str
    execution_id: str
    reason: str


class CorrectExecution(NamedTuple):
    """Change the quantity or the price of an execution of an order; None keeps it."""

    origin: CommandOrigin
    order_id: str
    execution_id: str
    quantity: Decimal | None
    price: Decimal | None
    reason: str


class CancelAll(NamedTuple):
    """Cancel all open orders of a portfolio that match; None matches all.

    With `keeps_exits`, cancel only orders that could open or increase a position.
    """

    origin: CommandOrigin
    portfolio_name: str
    portfolio_name_key: str
    symbol: str | None
    side: str | None
    strategy: str | None
    reason: str | None
    keeps_exits: bool = False


class CancelInPortfolio(NamedTuple):
    """Cancel the orders of one portfolio that a stored cancellation selects."""

    origin: CommandOrigin
    portfolio_id: int
    cancellation: StoredCancellation


class ClosePosition(NamedTuple):
    """Send the market order that closes a position, or `quantity` of it.

    With `ignores_halt`, risk checks are skipped, and a quantity above the position is reduced to the
    position. `strategy` is set when a kill switch closes the part of one strategy.
    """

    origin: CommandOrigin
    portfolio_name: str
    portfolio_name_key: str
    symbol: str
    product: str
    quantity: Decimal | None
    reason: str | None
    ignores_halt: bool = False
    strategy: str | None = None


class SetExits(NamedTuple):
    """Replace the exits of a position. None removes the exit."""

    origin: CommandOrigin
    portfolio_name: str
    portfolio_name_key: str
    symbol: str
    product: str
    take_profit: TakeProfit | None
    stop_loss: StopLoss | None


class AdoptOrder(NamedTuple):
    """Make an order that works at a broker one of the portfolio's orders, under its id there."""

    origin: CommandOrigin
    order_id: str
    ticket: Ticket
    portfolio_name: str
    portfolio_name_key: str


class ApplyCorporateAction(NamedTuple):
    """Book a corporate action in a portfolio, or reverse it. A repeat changes nothing."""

    origin: CommandOrigin
    portfolio_id: int
    action: CorporateActionTerms
    is_reversal: bool = False


UserCommand = (
    PlaceOrder
    | PlaceSignal
    | PlaceGroup
    | PreviewOrder
    | CancelOrder
    | ReplaceOrder
    | CancelAll
    | CancelInPortfolio
    | ClosePosition
    | SetExits
    | AdoptOrder
    | DecideApproval
    | RequestOverride
    | ReviewApprovals
    | ApplyCorporateAction
    | BustExecution
    | CorrectExecution
)
CommandNamingPortfolio = (  # requests that name their portfolio
    PlaceOrder | PlaceSignal | PlaceGroup | PreviewOrder | ClosePosition | SetExits | CancelAll | AdoptOrder
)
UserCommandNamingOrder = (  # requests that name an order
    CancelOrder | ReplaceOrder | DecideApproval | RequestOverride | BustExecution | CorrectExecution
)
# Built once: to build a union on each call is slow.
CommandNamingOrder = UserCommandNamingOrder | ApplyBrokerReport
_QuoteCommand = MatchQuote | FinishQuote
OrderCommand = UserCommand | InternalCommand
WriterCommand = LedgerCommand | OrderCommand


def get_tenant_id(command: WriterCommand) -> int:
    """Return the tenant that a command concerns."""
    return command.tenant_id if isinstance(command, InternalCommand) else command.origin.tenant_id


def get_actor(origin: CommandOrigin) -> str:
    """Return the person behind the request, else the API key."""
    return origin.actor or origin.source


def get_time(command: WriterCommand) -> datetime:
    """Return when a command was requested or caused."""
    return datetime.fromisoformat(command.at) if isinstance(command, InternalCommand) else command.origin.at


def get_order_key(command: CommandNamingOrder) -> OrderKey:
    """Return the key of the order that a command names."""
    return OrderKey(get_tenant_id(command), command.order_id)


def list_tickets(command: WriterCommand) -> Sequence[Ticket]:
    """Return the tickets of a command."""
    if type(command) is PlaceOrder:  # the usual case
        return (command.ticket,)
    if isinstance(command, PlaceGroup):
        return command.tickets
    return (command.ticket,) if isinstance(command, PreviewOrder) else ()


def get_lock_group(command: WriterCommand) -> tuple[int, str]:
    """Return the key of the portfolio that a command locks. Commands with the same key lock the same one."""
    if isinstance(command, LedgerCommand):
        return get_ledger_lock_group(command)
    tenant_id = get_tenant_id(command)
    if isinstance(command, CommandNamingPortfolio):
        return tenant_id, command.portfolio_name_key
    if isinstance(command, _QuoteCommand):
        return tenant_id, f"/{command.instrument_key.symbol}"
    if isinstance(command, CommandNamingOrder):
        return tenant_id, f"/{command.order_id}"
    return tenant_id, ""  # it concerns several portfolios
