"""Commands are decided on loaded values alone: here without a database, in any order."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from app.brokers.rules.values import BrokerEvent, Canceled, Executed, Expired
from app.errors import OmsError
from app.ledger.rules.accounting import Side, replay_fills
from app.ledger.rules.chain import hash_request
from app.ledger.rules.tickets import compute_trade_value
from app.ledger.service.commands import CommandOrigin, RecordedTrade, RecordTrade, ReverseTrade
from app.ledger.service.portfolio_state import ReversalInputs, build_portfolio
from app.ledger.service.reversals import build_fill_of_trade
from app.market_data.rules.values import Quote
from app.orders.rules.cancellations import StoredCancellation
from app.orders.rules.contingency import EXIT_ROLES
from app.orders.rules.order_views import OrderChanges
from app.orders.rules.rows import ExecutionKey
from app.orders.rules.values import FINAL_STATUSES, GroupKind, Order, Role, StopLoss, TakeProfit
from app.orders.service.commands import (
    BustExecution,
    CancelAll,
    CancelInPortfolio,
    CancelOrder,
    ClosePosition,
    CorrectExecution,
    DecideApproval,
    PlaceGroup,
    PlaceOrder,
    PreviewOrder,
    ReplaceOrder,
    RequestOverride,
    SetExits,
    WriterCommand,
)
from app.orders.service.internal_commands import (
    ApplyBrokerReport,
    CancelHalted,
    CheckLosses,
    ExpireOrders,
    FinishQuote,
    MatchQuote,
    ReleaseOrders,
    SquareOff,
)
from app.orders.service.risk_checks.exposure import compute_exposure
from app.orders.service.write_path.command_dispatch import dispatch_all
from app.risk.rules.limits import LimitCode, LimitScope, RiskLimit
from app.risk.rules.losses import LossBaseline
from app.timestamps import format_timestamp
from tests.orders.batch_state import build_context, build_services, capture_state
from tests.orders.writer_harness import build_ticket

TENANT = 1
START = datetime(2026, 11, 20, 12, tzinfo=UTC)
OPENING_CASH = Decimal(10_000)
LIMITS = [RiskLimit(LimitScope.TENANT, "", "", LimitCode.MAX_ORDER_QUANTITY, Decimal(60))]
GROWTH = ("Growth", "growth")

SIDES = st.sampled_from(["BUY", "SELL"])
PRICES = st.integers(90, 110)
QUANTITIES = st.sampled_from([1, 5, 12, 70])  # one order of 70 exceeds the limit
TIMES = st.sampled_from(["DAY", "GTC", "IOC", "FOK"])
PORTFOLIOS = st.sampled_from([GROWTH, GROWTH, GROWTH, ("Nowhere", "nowhere")])
NUMBERS = st.integers(0, 9)  # of orders
KEYS = st.sampled_from([None, "key:1", "key:2", "key:3"])
SYMBOLS = st.sampled_from(["AAPL", "AAPL", "AAPL", "MSFT"])  # no one trades MSFT


@st.composite
def build_tickets(draw: st.DrawFn, /, **fixed: Any) -> Any:
    price = draw(PRICES)
    by_type: dict[str, dict[str, Any]] = {
        "MARKET": {},
        "LIMIT": {"limit_price": price},
        "STOP": {"stop_price": price},
        "STOP_LIMIT": {"stop_price": price, "limit_price": price + 2},
        "TRAILING_STOP": {"trail_amount": 3},
    }
    kind = draw(st.sampled_from(sorted(by_type)))
    time_in_force = "DAY" if "STOP" in kind else draw(TIMES)
    terms = {"side": draw(SIDES), "quantity": draw(QUANTITIES), "time_in_force": time_in_force}
    return build_ticket(**{"type": kind} | by_type[kind] | terms | fixed)


class Decisions(RuleBasedStateMachine):
    """The commands of one batch, decided one after the other without a database."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.reported: list[tuple[Decimal, Decimal]] = []  # of trades without an order: quantity and cash
        portfolio = build_portfolio(7, TENANT, *GROWTH, opening_cash=OPENING_CASH)
        self.portfolio_key = portfolio.key
        self.context = build_context(
            build_services(TENANT, LIMITS, START), portfolio, ["AAPL", "MSFT"], START
        )

    def build_origin(self, key: str | None = None, request_text: str = "") -> CommandOrigin:
        return CommandOrigin(TENANT, "key", None, self.now, key, hash_request(request_text))

    @property
    def orders(self) -> list[Order]:
        return self.context.order_store.created

    def pick_order_id(self, number: int) -> str:
        """Return the id of one of the last orders, or an unknown id."""
        ids = [order.id for order in self.orders][-8:]
        return ids[number] if number < len(ids) else "O-unknown"

    def decide(self, command: WriterCommand) -> Any:
        """Load the state for the command, and decide. A refused command must not change the state."""
        context, loaded = self.context, self.context.loaded
        self.now = context.now = self.now + timedelta(seconds=1)
        loaded.portfolios_by_order = {order.key: self.portfolio_key for order in self.orders}
        for order in self.orders:
            loaded.approval_requests.setdefault(order.key, None)
        before = capture_state(context)
        (outcome,) = dispatch_all(context, [command], [id(command)])
        if isinstance(outcome, OmsError) or isinstance(command, PreviewOrder):
            after = capture_state(context)
            assert after == before, [name for name in before if before[name] != after.get(name)]
        return outcome

    @initialize(price=PRICES)
    def begin_with_a_quote(self, price: int) -> None:
        self.publish_quote(price, None)

    @rule(price=PRICES, size=st.sampled_from([None, 3, 20]))
    def publish_quote(self, price: int, size: int | None) -> None:
        amounts = (Decimal(price - 1), Decimal(price + 1), Decimal(price))
        sizes = None if size is None else Decimal(size)
        quote = Quote("AAPL", *amounts, sizes, sizes, self.now, "manual")
        command = MatchQuote(TENANT, quote, format_timestamp(self.now), is_new=True)
        self.context.loaded.portfolios_by_symbol[command.instrument_key] = [self.portfolio_key]
        self.context.loaded.consumed_liquidity[TENANT, "AAPL", format_timestamp(self.now)] = []
        self.decide(command)

    @rule(ticket=build_tickets(), portfolio=PORTFOLIOS, key=KEYS)
    def place_order(self, ticket: Any, portfolio: tuple[str, str], key: str | None) -> None:
        """Place an order. A key that another order has is refused, or returns that order."""
        self.decide(PlaceOrder(self.build_origin(key, repr(ticket)), ticket, *portfolio))

    @rule(price=PRICES, quantity=QUANTITIES, side=SIDES)
    def place_bracket(self, price: int, quantity: int, side: str) -> None:
        sign = 1 if side == "BUY" else -1
        exits = {
            "take_profit": TakeProfit(Decimal(price + 4 * sign)),
            "stop_loss": StopLoss(Decimal(price - 4 * sign), None),
        }
        terms = {"limit_price": price, "quantity": quantity, "side": side, "time_in_force": "GTC"}
        ticket = build_ticket(type="LIMIT", **terms, **exits)
        self.decide(PlaceOrder(self.build_origin(request_text=repr(ticket)), ticket, *GROWTH))

    @rule(
        kind=st.sampled_from(GroupKind), first=build_tickets(), second=build_tickets(), portfolio=PORTFOLIOS
    )
    def place_group(self, kind: GroupKind, first: Any, second: Any, portfolio: tuple[str, str]) -> None:
        if kind is not GroupKind.BRACKET:
            self.decide(
                PlaceGroup(self.build_origin(request_text=repr(first)), kind, (first, second), *portfolio)
            )

    @rule(ticket=build_tickets(), portfolio=PORTFOLIOS)
    def preview_order(self, ticket: Any, portfolio: tuple[str, str]) -> None:
        self.decide(PreviewOrder(self.build_origin(), ticket, *portfolio))

    @rule(ticket=build_tickets(time_in_force="GTD"))
    def place_expired_order(self, ticket: Any) -> None:
        expired = ticket._replace(expires_at=format_timestamp(START - timedelta(days=1)))
        assert isinstance(self.decide(PlaceOrder(self.build_origin(), expired, *GROWTH)), OmsError)

    @rule(number=NUMBERS, key=KEYS)
    def cancel_order(self, number: int, key: str | None) -> None:
        self.decide(CancelOrder(self.build_origin(key), self.pick_order_id(number), None))

    @rule(number=NUMBERS, quantity=st.none() | QUANTITIES, price=st.none() | PRICES)
    def replace_order(self, number: int, quantity: int | None, price: int | None) -> None:
        changes = OrderChanges(
            quantity=None if quantity is None else Decimal(quantity),
            limit_price=None if price is None else Decimal(price),
        )
        self.decide(ReplaceOrder(self.build_origin(), self.pick_order_id(number), changes))

    @rule(symbol=SYMBOLS, quantity=st.none() | QUANTITIES)
    def close_position(self, symbol: str, quantity: int | None) -> None:
        size = None if quantity is None else Decimal(quantity)
        self.decide(ClosePosition(self.build_origin(), *GROWTH, symbol, "", size, None))

    @rule(symbol=SYMBOLS, price=st.none() | PRICES)
    def set_exits(self, symbol: str, price: int | None) -> None:
        stop = None if price is None else StopLoss(Decimal(price), None)
        self.decide(SetExits(self.build_origin(), *GROWTH, symbol, "", None, stop))

    @rule(portfolio=PORTFOLIOS)
    def cancel_all(self, portfolio: tuple[str, str]) -> None:
        self.decide(CancelAll(self.build_origin(), *portfolio, None, None, None, None))

    @rule(side=st.sampled_from(Side), quantity=QUANTITIES, price=PRICES)
    def record_trade(self, side: Side, quantity: int, price: int) -> None:
        origin = self.build_origin()._replace(request_hash=None)
        value = compute_trade_value(Decimal(quantity), None, Decimal(price))
        outcome = self.decide(RecordTrade(origin, "AAPL", "", side, value, *GROWTH, None))
        assert isinstance(outcome, RecordedTrade)
        self.reported.append((side.sign * value.quantity, -side.sign * value.gmv))

    @rule(number=NUMBERS, is_bust=st.booleans())
    def take_execution_back(self, number: int, is_bust: bool) -> None:
        """Bust or correct an execution whose trade, and what its reversal depends on, is loaded."""
        executions = self.context.order_store.executions
        if not executions:
            return
        row = executions[number % len(executions)]
        self.load_reversal(row.trade_id)
        origin = self.build_origin()
        if is_bust:
            self.decide(BustExecution(origin, row.order_id, row.execution_id, "Error"))
        else:
            quantity = abs(Decimal(row.quantity)) / 2
            command = CorrectExecution(origin, row.order_id, row.execution_id, quantity, None, "Error")
            self.decide(command)

    @rule(number=NUMBERS)
    def reverse_trade(self, number: int) -> None:
        rows = [row for row in self.context.ledger._pending.trades if row.order_id is None]
        if rows:
            row = rows[number % len(rows)]
            self.load_reversal(row.trade_id)
            outcome = self.decide(ReverseTrade(self.build_origin(), row.trade_id, "Error"))
            if isinstance(outcome, RecordedTrade):
                cash = Decimal(outcome.row.cash_delta)
                self.reported.append((Decimal(outcome.row.quantity_delta), cash))

    def load_reversal(self, trade_id: str) -> None:
        ledger = self.context.ledger
        rows = [row for row in ledger._pending.trades if row.symbol == "AAPL"]
        reversed_ids = {row.reverses for row in rows}
        kept = [row for row in rows if row.reverses is None and row.trade_id not in {*reversed_ids, trade_id}]
        after = replay_fills([build_fill_of_trade(row) for row in kept])
        [original] = [row for row in rows if row.trade_id == trade_id]
        key = original.trade_key
        ledger.originals[key] = original
        ledger.reversal_inputs[key] = ReversalInputs(ledger.get_position(original.position_key), after, None)
        self.context.loaded.recent_exits[original.position_key, original.created_at] = []

    @rule(number=NUMBERS, quantity=QUANTITIES, price=PRICES)
    def report_execution(self, number: int, quantity: int, price: int) -> None:
        """Report a fill within the quantity of an order without a role, whatever its status."""
        leaves = {order.id: order.leaves_quantity for order in self.orders if order.role is None}
        order_id = self.pick_order_id(number)
        filled = min(Decimal(quantity), leaves.get(order_id, Decimal(0)))
        if filled:
            amounts = (filled, Decimal(price), filled * price)
            self.report(order_id, Executed(order_id, f"E{self.now:%H%M%S%f}", *amounts, self.now))

    @rule(number=NUMBERS, kind=st.sampled_from([Canceled, Expired]))
    def report_end(self, number: int, kind: type[Canceled | Expired]) -> None:
        order_id = self.pick_order_id(number)
        self.report(order_id, kind(order_id, self.now))

    def report(self, order_id: str, event: BrokerEvent) -> None:
        loaded = self.context.loaded
        if isinstance(event, Executed):
            loaded.executed_orders[ExecutionKey(TENANT, "paper", event.execution_id)] = None
        for order in self.orders:
            loaded.recent_exits[order.position_key, order.created_at] = []
        self.decide(ApplyBrokerReport(TENANT, order_id, event, format_timestamp(self.now)))

    @rule(kind=st.sampled_from([ReleaseOrders, SquareOff, CancelHalted, CheckLosses, FinishQuote]))
    def run_job(self, kind: Any) -> None:
        loaded, at = self.context.loaded, format_timestamp(self.now)
        loaded.portfolios_with_intraday_positions[TENANT] = loaded.portfolios_with_loss_limits[TENANT] = [
            self.portfolio_key
        ]
        loaded.switch_changes[TENANT], loaded.portfolios_halted_by_losses[TENANT] = {}, set()
        loaded.loss_baselines[self.portfolio_key] = LossBaseline(OPENING_CASH, OPENING_CASH, Decimal(0))
        values = {ReleaseOrders: (("AAPL",), at), FinishQuote: ("AAPL", at)}.get(kind, (at,))
        assert not isinstance(self.decide(kind(TENANT, *values)), OmsError)

    @rule(symbol=st.none() | SYMBOLS)
    def cancel_in_portfolio(self, symbol: str | None) -> None:
        values: dict[str, Any] = dict.fromkeys(StoredCancellation._fields)
        values |= {"tenant_id": TENANT, "symbol": symbol, "id": f"C{self.now:%H%M%S%f}"}
        cancellation = StoredCancellation(**values | {"created_at": format_timestamp(self.now)})
        self.context.loaded.canceled_orders[cancellation.id, self.portfolio_key] = None
        self.decide(CancelInPortfolio(self.build_origin(), self.portfolio_key.portfolio_id, cancellation))

    @rule(number=NUMBERS, is_granted=st.booleans())
    def decide_on_an_order(self, number: int, is_granted: bool) -> None:
        """No order waits for approval, and a denied one is placed again only once."""
        order_id = self.pick_order_id(number)
        self.decide(DecideApproval(self.build_origin(), order_id, is_granted, "Because", None, "approver"))
        self.context.loaded.has_override = {order.key: True for order in self.orders}
        self.decide(RequestOverride(self.build_origin(request_text=order_id), order_id, "Block", 30))

    @rule(hours=st.sampled_from([1, 40]))
    def expire_orders(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        command = ExpireOrders(TENANT, format_timestamp(self.now))
        self.context.loaded.portfolios_with_overdue_orders[command] = [self.portfolio_key]
        self.decide(command)

    @invariant()
    def quantities_add_up(self) -> None:
        for order in self.orders:
            assert 0 <= order.filled_quantity <= order.quantity, order
            assert order.status not in FINAL_STATUSES or order.leaves_quantity == 0
        executed = self.context.order_store.executions
        filled = {order.id: order.filled_quantity - order.carried_quantity for order in self.orders}
        for order_id, quantity in filled.items():
            assert quantity == sum(Decimal(row.quantity) for row in executed if row.order_id == order_id)

    @invariant()
    def ledger_equals_the_executions(self) -> None:
        signs = {"BUY": 1, "SELL": -1}
        executions = self.context.order_store.executions
        changes = [
            (
                signs[execution.side] * Decimal(execution.quantity),
                -signs[execution.side] * Decimal(execution.value),
            )
            for execution in executions
        ]
        position = self.context.ledger.get_position((*self.portfolio_key, "AAPL", ""))
        portfolio = self.context.ledger.get_portfolio(self.portfolio_key)
        assert position.quantity == sum(quantity for quantity, _ in [*changes, *self.reported])
        assert portfolio.cash == OPENING_CASH + sum(cash for _, cash in [*changes, *self.reported])
        assert portfolio.last_sequence == len(changes) + len(self.reported)

    @invariant()
    def open_orders_are_indexed(self) -> None:
        """Open orders, and no others, are in the portfolio's open orders, as they are now."""
        expected = {order.id: order for order in self.orders if order.status not in FINAL_STATUSES}
        open_orders = self.context.order_store.open_orders[self.portfolio_key]
        assert open_orders.orders == expected
        assert {name for ids in open_orders.by_symbol.values() for name in ids} == expected.keys()

    @invariant()
    def exits_only_reduce_the_position(self) -> None:
        reducing = {order.id for order in self.orders if order.role in EXIT_ROLES | {Role.CLOSING}}
        for row in self.context.ledger._pending.trades:
            if row.order_id in reducing:
                after = Decimal(row.position_quantity)
                before = after - Decimal(row.quantity_delta)
                assert abs(after) < abs(before)
                assert after * before >= 0

    @invariant()
    def exposure_equals_a_new_valuation(self) -> None:
        current = compute_exposure(self.context, self.portfolio_key)
        del self.context.exposures[self.portfolio_key]
        fresh = compute_exposure(self.context, self.portfolio_key)
        assert (current.total, current.valuations) == (fresh.total, fresh.valuations)
        self.context.exposures[self.portfolio_key] = current


def test_decisions_without_a_database_keep_the_invariants():
    run_state_machine_as_test(Decisions, settings=settings(max_examples=15, stateful_step_count=30))
