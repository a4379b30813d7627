"""The writer's handler for trades and orders alike: one batch, one transaction, in the order given."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import cast

from sqlalchemy import Connection

from app.database import declare_tenants
from app.errors import OmsError
from app.ledger.service.books import PortfolioState
from app.ledger.service.commands import Command as LedgerCommand
from app.ledger.service.commands import Recorded, RecordTrade, ReverseTrade
from app.ledger.service.recording import Recording, outcome_of
from app.market_data.queries import stored_quotes
from app.orders.service.changing import cancel_all, cancel_one, expire, expire_one, replace
from app.orders.service.closing import close
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
from app.orders.service.guarding import held_by
from app.orders.service.instrument_names import name_instruments
from app.orders.service.lost_commit import Proof, proof_of
from app.orders.service.market import quote_arrived
from app.orders.service.placing import place, place_group
from app.orders.service.plan import Plan, plan_for, symbols_of
from app.orders.service.previewing import preview
from app.orders.service.reporting import broker_said
from app.orders.service.scene import Place, Scene, Tools
from app.orders.service.trade_effects import yield_to_trade, yield_to_trades

NOTHING = Done(())
Unasked = QuoteArrived | ExpireOrders | BrokerReport  # what no request asked for


class Floor:
    """Handler of group commit for the books and the orders. One instance belongs to one writer thread."""

    def __init__(self, recording: Recording, tools: Tools) -> None:
        self._recording = recording
        self._tools = tools
        self._last: list[Outcome | OmsError] = []
        self._messages: dict[int, int] = {}  # counted by attempts, by the identity of the command
        self._stands: Proof = lambda _: True
        self._is_ledger_only = True

    def handle(self, connection: Connection, works: Sequence[Command]) -> list[Outcome | OmsError]:
        """Do `works` in order; see `group_commit.Handler`."""
        self._is_ledger_only = all(isinstance(work, (RecordTrade, ReverseTrade)) for work in works)
        if self._is_ledger_only:
            recorded = self._recording.handle(
                connection, cast("Sequence[LedgerCommand]", works), partial(yield_to_trades, self._tools)
            )
            return cast("list[Outcome | OmsError]", recorded)
        try:
            self._last = self._mixed(connection, works)
        except Exception:
            self._recording.forget()
            raise
        return self._last

    def recover(self, connection: Connection, works: Sequence[Command]) -> list[Outcome | OmsError | None]:
        """Tell what the last batch left; taking the same locks first waits for its lost transaction."""
        if self._is_ledger_only:
            found = self._recording.recover(connection, cast("Sequence[LedgerCommand]", works))
            return cast("list[Outcome | OmsError | None]", found)
        scene, _, _ = self._scene(connection, works)
        scene.batch.insert_portfolios(all_new=True)
        stands = self._stands(connection)
        return [one if stands or isinstance(one, OmsError) else None for one in self._last]

    def release(self, works: Sequence[Command]) -> None:
        """Drop how many messages the commands were counted as; see `group_commit.Handler`."""
        for work in works:
            self._messages.pop(id(work), None)

    def _mixed(self, connection: Connection, works: Sequence[Command]) -> list[Outcome | OmsError]:
        identities = [id(work) for work in works]  # under which their messages are counted
        scene, plan, works = self._scene(connection, works)
        outcomes = [_outcome(scene, plan, *one) for one in zip(works, identities, strict=True)]
        arrived = [
            (work.tenant_id, work.quote) for work in works if isinstance(work, QuoteArrived) and work.is_new
        ]
        scene.writes += stored_quotes(connection, arrived) if arrived else []
        self._stands = proof_of(scene, outcomes, arrived)
        scene.flush()
        scene.remember()
        return outcomes

    def _scene(
        self, connection: Connection, works: Sequence[Command]
    ) -> tuple[Scene, Plan, Sequence[Command]]:
        """Lock and load what the commands touch; return them under their instruments' symbols."""
        ledger = [work for work in works if isinstance(work, (RecordTrade, ReverseTrade))]
        orders = [work for work in works if not isinstance(work, (RecordTrade, ReverseTrade))]
        tenants = set(map(_tenant, works))
        plan = plan_for(declare_tenants(connection, tenants), orders)
        batch = self._recording.batch(connection, ledger, plan.names, plan.places, tenants)
        batch.load()
        works = name_instruments(connection, works)  # under the locks: see `is_symbol_in_use`
        scene = Scene(batch, self._tools, max(map(_moment, works)), self._messages)
        plan.places |= batch.places_named()
        scene.load(plan.places, symbols_of(works))
        batch.held_back = partial(_held_back, scene)
        scene.bind(plan.bound)
        return scene, plan, works


def _held_back(scene: Scene, portfolio: PortfolioState, work: RecordTrade, held: Decimal) -> Decimal:
    """Return what orders hold of the position that a trade would close, as this batch sees them."""
    place = (portfolio.tenant_id, portfolio.id)
    if place in scene.blotter.places:
        return held_by(scene.blotter.open_of(place, work.symbol), work, held)
    return scene.batch.guard.held_back(scene.connection, portfolio, work, held)


def _outcome(scene: Scene, plan: Plan, work: Command, identity: int) -> Outcome | OmsError:
    """Return what becomes of one command; an order whose time is over ends first, whatever is asked."""
    scene.begin(identity, None if isinstance(work, Unasked) else work.origin.request_id)
    if isinstance(work, (CancelOrder, ReplaceOrder)) and _is_planned(plan, work):
        expire_one(scene, work.origin, work.order_id)
    return _attempt(scene, plan, work)


def _attempt(scene: Scene, plan: Plan, work: Command) -> Outcome | OmsError:
    """Return what becomes of one command; a refusal is a value here, so that it harms no other.

    What is refused leaves the batch as it was. Raises the refusal where it does not: the transaction is
    rolled back then, and the writer tries the others without it.
    """
    changes = scene.changes
    if isinstance(work, (RecordTrade, ReverseTrade)):
        recorded = outcome_of(scene.batch, work)
        if isinstance(recorded, Recorded):
            yield_to_trade(scene, recorded)
            scene.exposures.pop((recorded.row.tenant_id, recorded.row.portfolio_id), None)
        return recorded
    try:
        return _done(scene, plan, work)
    except OmsError as refusal:
        if scene.changes != changes:
            raise
        return refusal


def _is_planned(plan: Plan, work: CancelOrder | ReplaceOrder) -> bool:
    return (work.origin.tenant_id, work.order_id) in plan.by_order


def _done(scene: Scene, plan: Plan, work: OrderCommand) -> Outcome:  # noqa: C901, PLR0911  # a table of commands
    match work:
        case PlaceOrder():
            return place(scene, work)
        case PlaceGroup():
            return place_group(scene, work)
        case CancelOrder():
            plan.require(work)
            return cancel_one(scene, work)
        case ReplaceOrder():
            plan.require(work)
            return replace(scene, work)
        case CancelAll():
            return cancel_all(scene, work, _portfolios(scene, plan, work))
        case ClosePosition():
            return close(scene, work)
        case PreviewOrder():
            return preview(scene, work)
        case BrokerReport():
            plan.require(work)
            return broker_said(scene, work)
        case QuoteArrived():
            quote_arrived(scene, work, plan.by_symbol.get((work.tenant_id, work.quote.symbol), []))
        case ExpireOrders():
            expire(scene, plan.overdue.get(work.tenant_id, []), work.at)
    return NOTHING


def _portfolios(scene: Scene, plan: Plan, work: CancelAll) -> list[Place]:
    if work.portfolio_key is None:
        return plan.portfolios(work)
    return [scene.place_named(work.origin.tenant_id, work.portfolio_name or "", work.portfolio_key)]


def _tenant(work: Command) -> int:
    if isinstance(work, Unasked):
        return work.tenant_id
    return work.origin.tenant_id


def _moment(work: Command) -> datetime:
    if isinstance(work, Unasked):
        return datetime.fromisoformat(work.at)
    return work.origin.at
