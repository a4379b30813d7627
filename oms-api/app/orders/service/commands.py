"""What the writer is asked to do with orders, and what it answers."""

from decimal import Decimal
from typing import NamedTuple

from app.brokers.rules.values import BrokerEvent
from app.ledger.service.commands import Command as LedgerCommand
from app.ledger.service.commands import Origin, Recorded
from app.ledger.service.commands import get_lock_group as get_ledger_lock_group
from app.market_data.rules.values import Quote
from app.orders.rules.order_views import Changes, OrderPreview, OrderView
from app.orders.rules.values import GroupKind, Ticket


class PlaceOrder(NamedTuple):
    """Judge a ticket and send it to its broker, legs and all. The portfolio must exist."""

    origin: Origin
    ticket: Ticket
    portfolio_name: str
    portfolio_key: str


class PlaceGroup(NamedTuple):
    """Two tickets of one portfolio, joined: OCO or OTO."""

    origin: Origin
    kind: GroupKind
    tickets: tuple[Ticket, ...]
    portfolio_name: str
    portfolio_key: str


class PreviewOrder(NamedTuple):
    """Tell what a ticket would do, and do nothing."""

    origin: Origin
    ticket: Ticket
    portfolio_name: str
    portfolio_key: str


class CancelOrder(NamedTuple):
    """End an order."""

    origin: Origin
    order_id: str
    reason: str | None


class ReplaceOrder(NamedTuple):
    """Put another order in an order's place."""

    origin: Origin
    order_id: str
    changes: Changes


class CancelAll(NamedTuple):
    """End all open orders that match; None matches everything. With `keeps_exits` only what could open or
    increase a position ends.
    """

    origin: Origin
    portfolio_key: str | None
    portfolio_name: str | None
    symbol: str | None
    side: str | None
    strategy: str | None
    reason: str | None
    keeps_exits: bool = False


class ClosePosition(NamedTuple):
    """Send the market order that closes a position, or `quantity` of it; in spite of a halt at most what is
    held, for the strategy whose fills they were.
    """

    origin: Origin
    portfolio_name: str
    portfolio_key: str
    symbol: str
    product: str
    quantity: Decimal | None
    reason: str | None
    in_spite_of_halt: bool = False
    strategy: str | None = None


class QuoteArrived(NamedTuple):
    """Match what works in the quote's symbol; `is_new` quotes are stored with what they cause."""

    tenant_id: int
    quote: Quote
    at: str
    is_new: bool


class ExpireOrders(NamedTuple):
    """End what has come to its end."""

    tenant_id: int
    at: str


class BrokerReport(NamedTuple):
    """What a broker says of an order, at any time after it was sent."""

    tenant_id: int
    order_id: str
    event: BrokerEvent
    at: str


OrderRequest = PlaceOrder | PlaceGroup | PreviewOrder | CancelOrder | ReplaceOrder | CancelAll | ClosePosition
OrderCommand = OrderRequest | QuoteArrived | ExpireOrders | BrokerReport
Command = LedgerCommand | OrderCommand


class Done(NamedTuple):
    """The orders that a command made or changed; `replayed` when the key's earlier outcome is told again."""

    orders: tuple[OrderView, ...]
    replayed: bool = False


Outcome = Recorded | Done | OrderPreview


def get_lock_group(command: Command) -> tuple[int, str]:  # noqa: PLR0911  # a table of commands
    """Return what tells which commands lock the same portfolio, as far as it is known before a look."""
    match command:
        case PlaceOrder() | PlaceGroup() | PreviewOrder() | ClosePosition():
            return (command.origin.tenant_id, command.portfolio_key)
        case CancelOrder() | ReplaceOrder():
            return (command.origin.tenant_id, f"/{command.order_id}")
        case CancelAll():
            return (command.origin.tenant_id, command.portfolio_key or "")
        case QuoteArrived():
            return (command.tenant_id, f"/{command.quote.symbol}")
        case BrokerReport():
            return (command.tenant_id, f"/{command.order_id}")
        case ExpireOrders():
            return (command.tenant_id, "")
        case _:
            return get_ledger_lock_group(command)
