"""Replay the journal of a strategy and compare its orders and fills with those that happened."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection

from app.brokers.rules.matching import compute_fills
from app.brokers.rules.settings import PaperSettings, set_portfolio_terms
from app.brokers.rules.values import Executed
from app.instruments.queries import load_instruments
from app.ledger.queries.portfolios import load_portfolio_summary
from app.market_data.service import Market
from app.orders.rules.broker_requests import convert_order
from app.orders.rules.values import Order
from app.strategies.queries.journal import iterate_inputs
from app.strategies.queries.live_orders import OwnExecution, list_executions, list_orders_between
from app.strategies.rules.actions import Action, PlaceAction, ReplaceAction
from app.strategies.rules.journal import InputKind, JournalInput, find_broken_sequence
from app.strategies.rules.parity import (
    ComparedFill,
    ComparedOrder,
    ParityDifference,
    compare_fill,
    compare_orders,
)
from app.strategies.rules.values import Strategy
from app.strategies.service.failures import describe_end
from app.strategies.service.order_gateway import SOURCE
from app.strategies.service.runner import RunnerSpec, StrategyRunner
from app.strategies.service.runner_factory import RunnerFactory

_PAPER = "paper"
_SECOND = timedelta(seconds=1)
_UNREPEATED_KINDS = frozenset({InputKind.START, InputKind.STOP})


class NoJournal(Exception):
    """Raised when there is no journal of that time, or it is not whole. The text states which."""


class ParityReport(NamedTuple):
    """The numbers of compared orders and fills, and the differences."""

    orders: int
    fills: int
    differences: list[ParityDifference]


class ParityChecker:
    """Compares the runs of strategies with replays of their journals."""

    def __init__(self, market: Market, runners: RunnerFactory, paper: PaperSettings) -> None:
        self._market, self._runners, self._paper = market, runners, paper

    def compare(
        self, connection: Connection, strategy: Strategy, since: datetime, until: datetime
    ) -> ParityReport:
        """Compare the orders of [since, until).

        Raises NoJournal, and Invalid if the code cannot be loaded.
        """
        inputs = _read_inputs(connection, strategy, since, until)
        with closing(_Replay(self._runners, strategy)) as replay:
            for journal_input in inputs:
                replay.play(journal_input)
        replayed_orders = {
            name: compared_order
            for name, compared_order in replay.orders.items()
            if since <= compared_order.at < until
        }
        orders = [
            order
            for order in list_orders_between(connection, strategy.tenant_id, strategy.name, SOURCE, since)
            if order.client_order_id.startswith(f"{strategy.id}-")
            and _parse_timestamp(order.created_at) < until + timedelta(minutes=1)
        ]
        names = {order.id: order.client_order_id for order in orders}
        live_orders = {order.client_order_id: _build_compared(order, names) for order in orders}
        live_orders = {
            name: compared_order
            for name, compared_order in live_orders.items()
            if name in replayed_orders or since <= compared_order.at < until
        }
        differences = compare_orders(live_orders, replayed_orders, replay.cause)
        count = 0
        for order in orders:
            for fill in list_executions(connection, strategy.tenant_id, order.id):
                count += 1
                differences += self._compare_fill(connection, order, fill)
        return ParityReport(len(live_orders.keys() | replayed_orders.keys()), count, differences)

    def _compare_fill(
        self, connection: Connection, order: Order, fill: OwnExecution
    ) -> list[ParityDifference]:
        """Match the order against the quotes of the time of a fill. Brokers match by their own rules."""
        if order.broker != _PAPER:
            return []
        instrument = load_instruments(connection, [order.instrument_key])[order.instrument_key]
        working_order = convert_order(order._replace(filled_quantity=Decimal(0)), instrument)
        paper = self._find_paper_settings(connection, order)
        accepted_at = fill.at - paper.latency
        working_order = working_order._replace(
            leaves=fill.quantity, quantity=fill.quantity, accepted_at=accepted_at
        )
        candidates = list[ComparedFill]()
        for at in (fill.at, fill.at - _SECOND):  # the quote may have changed while the order was written
            quotes = self._market.load_past_quotes(connection, [order.instrument_key], at)
            quote = quotes.get(order.instrument_key)
            events = [] if quote is None else compute_fills([working_order], quote, fill.at, paper)
            candidates += [
                ComparedFill(event.price, event.quantity) for event in events if isinstance(event, Executed)
            ]
        compared_fill = ComparedFill(fill.price, fill.quantity)
        return compare_fill(order.client_order_id, compared_fill, candidates)

    def _find_paper_settings(self, connection: Connection, order: Order) -> PaperSettings:
        """Return the settings of the paper market for the order's portfolio."""
        book = load_portfolio_summary(connection, order.tenant_id, order.portfolio_id)
        terms = (None if text is None else Decimal(text) for text in (book.participation, book.slippage))
        return set_portfolio_terms(self._paper, *terms)


class _Replay:
    """Runs the code on a journal, and collects the orders that it wants."""

    def __init__(self, runners: RunnerFactory, strategy: Strategy) -> None:
        self._runners, self._strategy = runners, strategy
        self._runner: StrategyRunner | None = None
        self._pending_inputs: list[JournalInput] = []
        self._sides: dict[str, tuple[str, str]] = {}  # symbols and sides of the orders that it heard of
        self.orders: dict[str, ComparedOrder] = {}
        self.cause = "The strategy is not deterministic: the same inputs gave other orders."

    def play(self, journal_input: JournalInput) -> None:
        """Play an input. Inputs that were repeated after a restart are played after its START."""
        payload = orjson.loads(journal_input.payload)
        if journal_input.kind is InputKind.ORDER:
            self._sides[payload["id"]] = (payload["symbol"], payload["side"])
        if journal_input.kind is InputKind.START:
            self._start_runner(journal_input, payload)
        elif journal_input.kind is InputKind.ORDER and payload["event_count"] == 0:
            self.orders.pop(payload["id"], None)  # it was refused before it was made
            self._deliver_input(journal_input)
        else:
            self._deliver_input(journal_input)
        self._pending_inputs.append(journal_input)

    def close(self) -> None:
        """End the process of the strategy, if there is one."""
        if self._runner is not None:
            self._runner.close()
        self._runner = None

    def _start_runner(self, journal_input: JournalInput, payload: dict[str, Any]) -> None:
        code = self._runners.catalog.find(payload["entry_point"])
        if code.code_hash != payload["code"]:
            self.cause = "The code is not that of the run: its hash differs."
        strategy = self._strategy
        self.close()
        spec = RunnerSpec(strategy.id, strategy.name, payload["parameters"], payload["symbols"])
        try:
            self._runner = self._runners.create(code, spec)
        except Exception as error:  # noqa: BLE001  # code of a strategy may raise anything
            self.cause = f"The code cannot be started: {describe_end(error)}"
        self._deliver_input(journal_input)
        first = payload["repeats_from"]
        for repeated_input in self._pending_inputs if first is not None else ():
            if repeated_input.sequence >= first and repeated_input.kind not in _UNREPEATED_KINDS:
                self._deliver_input(repeated_input)

    def _deliver_input(self, journal_input: JournalInput) -> None:
        if self._runner is None:
            return
        try:
            reaction = self._runner.deliver(journal_input)
        except Exception:  # noqa: BLE001  # it failed in the run too, and has another START after that
            self.close()
            return
        for action in reaction.actions:
            self._record_action(action, journal_input.at)

    def _record_action(self, action: Action, at: datetime) -> None:
        match action:
            case PlaceAction():
                ticket = action.ticket
                self._sides[action.order_id] = (ticket.symbol, ticket.side)
                terms = (ticket.symbol, ticket.side, ticket.quantity, ticket.limit_price, ticket.stop_price)
                self.orders[action.order_id] = ComparedOrder(*terms, at)
            case ReplaceAction() if action.order_id in self._sides:
                changes = action.changes
                self._sides[changes.client_order_id or ""] = names = self._sides[action.order_id]
                terms = (*names, changes.quantity, changes.limit_price, changes.stop_price)
                order = ComparedOrder(*terms, at, action.order_id)
                self.orders[changes.client_order_id or ""] = order
            case _:  # a cancellation places nothing
                pass


def _read_inputs(
    connection: Connection, strategy: Strategy, since: datetime, until: datetime
) -> Sequence[JournalInput]:
    """Return the inputs from the last start before `since` on. Raises NoJournal."""
    inputs = list(iterate_inputs(connection, strategy.tenant_id, strategy.name))
    broken_sequence = find_broken_sequence(inputs)
    if broken_sequence is not None:
        raise NoJournal(f"The journal is not whole: input {broken_sequence} does not follow the one before.")
    starts = [
        journal_input
        for journal_input in inputs
        if journal_input.kind is InputKind.START and journal_input.at < until
    ]
    if not starts:
        raise NoJournal("There is no journal of that time.")
    earlier = [
        journal_input
        for journal_input in starts
        if journal_input.at <= since and orjson.loads(journal_input.payload)["repeats_from"] is None
    ]
    first = earlier[-1] if earlier else starts[0]
    return [
        journal_input
        for journal_input in inputs
        if journal_input.sequence >= first.sequence and journal_input.at < until
    ]


def _build_compared(order: Order, names: Mapping[str, str]) -> ComparedOrder:
    """Return an order as it is compared. `names` are the client order ids of orders by id."""
    terms = (order.symbol, order.side, order.quantity, order.limit_price, order.stop_price)
    return ComparedOrder(*terms, _parse_timestamp(order.created_at), names.get(order.replaces or ""))


def _parse_timestamp(timestamp: str) -> datetime:
    return datetime.fromisoformat(timestamp)


def iterate_differences(report: ParityReport) -> Iterator[dict[str, Any]]:
    """Yield the differences as JSON values."""
    for difference in report.differences:
        yield {
            "kind": str(difference.kind),
            "order_id": difference.order_id,
            "ours": difference.live_value,
            "replayed": difference.replayed_value,
            "cause": difference.cause,
        }
