"""The writer's handler for trades and orders alike: one batch, one transaction, in the order given."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import cast

from sqlalchemy import Connection

from app.database import set_tenant_scope
from app.errors import OmsError
from app.ledger.service.books import PortfolioState
from app.ledger.service.commands import Command as LedgerCommand
from app.ledger.service.commands import Recorded, RecordTrade, ReverseTrade
from app.ledger.service.recording import Recording, outcome_of
from app.market_data.queries import build_quote_writes
from app.orders.service.batch_context import BatchContext, BatchServices, PortfolioKey
from app.orders.service.commands import (
    BrokerReport,
    CancelAll,
    CancelOrder,
    ClosePosition,
    Command,
    Done,
    ExpireOrders,
    OrderCommand,
    Outcome,
    PlaceGroup,
    PlaceOrder,
    PreviewOrder,
    QuoteArrived,
    ReplaceOrder,
)
from app.orders.service.execution_reports import apply_execution_report
from app.orders.service.instrument_names import name_instruments
from app.orders.service.lost_commit import Proof, proof_of
from app.orders.service.order_changes import cancel_all, cancel_one, expire, expire_one, replace
from app.orders.service.order_entry import place, place_group
from app.orders.service.plan import Plan, plan_for, symbols_of
from app.orders.service.position_closes import close
from app.orders.service.previewing import preview
from app.orders.service.quote_processing import process_quote
from app.orders.service.trade_effects import yield_to_trade, yield_to_trades
from app.orders.service.trade_guard import held_by

NOTHING = Done(())
InternalCommand = QuoteArrived | ExpireOrders | BrokerReport  # what no request asked for


class OrderBatchHandler:
    """Handler of group commit for the books and the orders. One instance belongs to one writer thread."""

    def __init__(self, recording: Recording, tools: BatchServices) -> None:
        self._recording = recording
        self._tools = tools
        self._last: list[Outcome | OmsError] = []
        self._messages: dict[int, int] = {}  # counted by attempts, by the identity of the command
        self._stands: Proof = lambda _: True
        self._is_ledger_only = True

    def handle(self, connection: Connection, commands: Sequence[Command]) -> list[Outcome | OmsError]:
        """Do `works` in order; see `group_commit.Handler`."""
        self._is_ledger_only = all(isinstance(command, (RecordTrade, ReverseTrade)) for command in commands)
        if self._is_ledger_only:
            recorded = self._recording.handle(
                connection, cast("Sequence[LedgerCommand]", commands), partial(yield_to_trades, self._tools)
            )
            return cast("list[Outcome | OmsError]", recorded)
        try:
            self._last = self._mixed(connection, commands)
        except Exception:
            self._recording.forget()
            raise
        return self._last

    def recover(self, connection: Connection, commands: Sequence[Command]) -> list[Outcome | OmsError | None]:
        """Tell what the last batch left; taking the same locks first waits for its lost transaction."""
        if self._is_ledger_only:
            found = self._recording.recover(connection, cast("Sequence[LedgerCommand]", commands))
            return cast("list[Outcome | OmsError | None]", found)
        context, _, _ = self._load_context(connection, commands)
        context.batch.insert_portfolios(all_new=True)
        stands = self._stands(connection)
        return [one if stands or isinstance(one, OmsError) else None for one in self._last]

    def release(self, commands: Sequence[Command]) -> None:
        """Drop how many messages the commands were counted as; see `group_commit.Handler`."""
        for command in commands:
            self._messages.pop(id(command), None)

    def _mixed(self, connection: Connection, commands: Sequence[Command]) -> list[Outcome | OmsError]:
        identities = [id(command) for command in commands]  # under which their messages are counted
        context, plan, commands = self._load_context(connection, commands)
        outcomes = [_outcome(context, plan, *one) for one in zip(commands, identities, strict=True)]
        arrived = [
            (command.tenant_id, command.quote)
            for command in commands
            if isinstance(command, QuoteArrived) and command.is_new
        ]
        context.writes += build_quote_writes(connection, arrived) if arrived else []
        self._stands = proof_of(context, outcomes, arrived)
        context.flush()
        context.remember()
        return outcomes

    def _load_context(
        self, connection: Connection, commands: Sequence[Command]
    ) -> tuple[BatchContext, Plan, Sequence[Command]]:
        """Lock and load what the commands touch; return them under their instruments' symbols."""
        ledger = [command for command in commands if isinstance(command, (RecordTrade, ReverseTrade))]
        orders = [command for command in commands if not isinstance(command, (RecordTrade, ReverseTrade))]
        tenants = set(map(_tenant, commands))
        plan = plan_for(set_tenant_scope(connection, tenants), orders)
        batch = self._recording.batch(connection, ledger, plan.names, plan.places, tenants)
        batch.load()
        commands = name_instruments(connection, commands)  # under the locks: see `is_symbol_in_use`
        context = BatchContext(batch, self._tools, max(map(_moment, commands)), self._messages)
        plan.places |= batch.places_named()
        context.load(plan.places, symbols_of(commands))
        batch.held_back = partial(_held_back, context)
        context.index_request_keys(plan.bound)
        return context, plan, commands


def _held_back(
    context: BatchContext, portfolio: PortfolioState, command: RecordTrade, held: Decimal
) -> Decimal:
    """Return what orders hold of the position that a trade would close, as this batch sees them."""
    place = (portfolio.tenant_id, portfolio.id)
    if place in context.order_store.places:
        return held_by(context.order_store.open_of(place, command.symbol), command, held)
    return context.batch.guard.held_back(context.connection, portfolio, command, held)


def _outcome(context: BatchContext, plan: Plan, command: Command, identity: int) -> Outcome | OmsError:
    """Return what becomes of one command; an order whose time is over ends first, whatever is asked."""
    context.begin(identity, None if isinstance(command, InternalCommand) else command.origin.request_id)
    if isinstance(command, (CancelOrder, ReplaceOrder)) and _is_planned(plan, command):
        expire_one(context, command.origin, command.order_id)
    return _attempt(context, plan, command)


def _attempt(context: BatchContext, plan: Plan, command: Command) -> Outcome | OmsError:
    """Return what becomes of one command; a refusal is a value here, so that it harms no other.

    What is refused leaves the batch as it was. Raises the refusal where it does not: the transaction is
    rolled back then, and the writer tries the others without it.
    """
    changes = context.changes
    if isinstance(command, (RecordTrade, ReverseTrade)):
        recorded = outcome_of(context.batch, command)
        if isinstance(recorded, Recorded):
            yield_to_trade(context, recorded)
            context.exposures.pop((recorded.row.tenant_id, recorded.row.portfolio_id), None)
        return recorded
    try:
        return _done(context, plan, command)
    except OmsError as refusal:
        if context.changes != changes:
            raise
        return refusal


def _is_planned(plan: Plan, command: CancelOrder | ReplaceOrder) -> bool:
    return (command.origin.tenant_id, command.order_id) in plan.by_order


def _done(context: BatchContext, plan: Plan, command: OrderCommand) -> Outcome:  # noqa: C901, PLR0911  # a table of commands
    match command:
        case PlaceOrder():
            return place(context, command)
        case PlaceGroup():
            return place_group(context, command)
        case CancelOrder():
            plan.require(command)
            return cancel_one(context, command)
        case ReplaceOrder():
            plan.require(command)
            return replace(context, command)
        case CancelAll():
            return cancel_all(context, command, _portfolios(context, plan, command))
        case ClosePosition():
            return close(context, command)
        case PreviewOrder():
            return preview(context, command)
        case BrokerReport():
            plan.require(command)
            return apply_execution_report(context, command)
        case QuoteArrived():
            process_quote(context, command, plan.by_symbol.get((command.tenant_id, command.quote.symbol), []))
        case ExpireOrders():
            expire(context, plan.overdue.get(command.tenant_id, []), command.at)
    return NOTHING


def _portfolios(context: BatchContext, plan: Plan, command: CancelAll) -> list[PortfolioKey]:
    if command.portfolio_key is None:
        return plan.portfolios(command)
    return [
        context.place_named(command.origin.tenant_id, command.portfolio_name or "", command.portfolio_key)
    ]


def _tenant(command: Command) -> int:
    if isinstance(command, InternalCommand):
        return command.tenant_id
    return command.origin.tenant_id


def _moment(command: Command) -> datetime:
    if isinstance(command, InternalCommand):
        return datetime.fromisoformat(command.at)
    return command.origin.at
