"""The invariants of orders hold after random tickets, quotes, cancels, replacements and late fills."""

from collections import defaultdict
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, text

from app.brokers.rules.values import Executed
from app.ledger.rules.keys import PortfolioKey
from app.orders.queries.orders import list_open_orders, list_order_events
from app.orders.rules.contingency import EXIT_ROLES
from app.orders.rules.rows import COLUMNS, parse_order_row
from app.orders.rules.states import TRANSITIONS
from app.orders.rules.values import FINAL_STATUSES, OPEN_STATUSES, Status, StopLoss, TakeProfit
from tests.orders.writer_harness import WriterHarness, build_ticket

SYMBOLS = st.sampled_from(["AAPL", "MSFT"])
SIDES = st.sampled_from(["BUY", "SELL"])
PRICES = st.integers(90, 110).map(str)
SIZES = st.sampled_from(["1", "5", "10", "0.5"])
TIMES = st.sampled_from(["DAY", "GTC", "IOC", "FOK"])
PICKS = st.integers(0, 10_000)
_tenants = count(1000)
OPENING_CASH = Decimal(1_000_000)
EVERY_ORDER = f"SELECT {', '.join(COLUMNS)} FROM orders WHERE tenant_id = :tenant ORDER BY id"  # noqa: S608  # names of the code


def build_prices(kind, price):
    other = str(int(price) + 2)
    return {
        "MARKET": {},
        "LIMIT": {"limit_price": price},
        "STOP": {"stop_price": price},
        "STOP_LIMIT": {"stop_price": price, "limit_price": other},
        "TRAILING_STOP": {"trail_amount": "3"},
    }[kind]


def compute_position(fills):
    """Average cost implemented independently: (quantity, cost, realized)."""
    quantity = cost = realised = Decimal(0)
    unit = Decimal("0.00000001")
    for side, size, value in fills:
        sign = 1 if side == "BUY" else -1
        closing = min(abs(quantity), size) if quantity * sign < 0 else Decimal(0)
        if closing:
            released = cost if closing == abs(quantity) else (cost * closing / abs(quantity)).quantize(unit)
            worth = value if closing == size else (value * closing / size).quantize(unit)
            realised += -sign * worth - released
            cost += sign * (value - worth) - released
        else:
            cost += sign * value
        quantity += sign * size
    return quantity, cost, realised


class Lives(RuleBasedStateMachine):
    """Two symbols, one portfolio, and everything that can happen to its orders."""

    engine: Engine

    def __init__(self):
        super().__init__()
        tenant = next(_tenants)
        with self.engine.begin() as connection:
            connection.execute(
                text("INSERT INTO tenants (id, slug, name, created_at) VALUES (:id, :slug, 'A desk', :at)"),
                {"id": tenant, "slug": f"lives-{tenant}", "at": "2026-01-01T00:00:00.000000Z"},
            )
        self.harness = WriterHarness(self.engine, tenant=tenant)
        self.harness.publish_quote("99", "101", "100")
        self.harness.publish_quote("99", "101", "100", "MSFT")
        self.strays = count(1)

    @rule(symbol=SYMBOLS, side=SIDES, size=SIZES, price=PRICES, time=TIMES,
          kind=st.sampled_from(["MARKET", "LIMIT", "STOP", "STOP_LIMIT", "TRAILING_STOP"]))  # fmt: skip
    def place(self, symbol, side, size, price, time, kind):
        prices = build_prices(kind, price)
        self.harness.place_order(
            symbol=symbol, side=side, quantity=size, type=kind, time_in_force=time, **prices
        )

    @rule(size=SIZES, price=PRICES, side=SIDES)
    def place_a_bracket(self, size, price, side):
        away = 5 if side == "BUY" else -5
        legs: dict[str, Any] = {
            "take_profit": TakeProfit(Decimal(price) + away),
            "stop_loss": StopLoss(Decimal(price) - away),
        }
        self.harness.place_order(
            side=side, quantity=size, type="LIMIT", limit_price=price, time_in_force="GTC", **legs
        )

    @rule(kind=st.sampled_from(["OCO", "OTO"]), size=SIZES, low=PRICES, high=PRICES, side=SIDES)
    def place_a_pair(self, kind, size, low, high, side):
        common = {"side": side, "quantity": size, "time_in_force": "GTC"}
        first = build_ticket(type="LIMIT", limit_price=high, **common)
        second = build_ticket(type="STOP", stop_price=low, **common)
        self.harness.place_pair(kind, first, second)

    @rule(symbol=SYMBOLS, price=PRICES, bid_size=SIZES, ask_size=SIZES, is_sized=st.booleans())
    def quote(self, symbol, price, bid_size, ask_size, is_sized):
        sizes = {"bid_size": bid_size, "ask_size": ask_size} if is_sized else {}
        self.harness.publish_quote(price, str(int(price) + 1), price, symbol, **sizes)

    @rule(symbol=SYMBOLS)
    def check_quote_again(self, symbol):
        before = len(self.executions())
        self.harness.check_quote_again("1", "1", "1", symbol)
        again = len(self.executions())
        self.harness.check_quote_again("1", "1", "1", symbol)
        assert len(self.executions()) == again >= before

    @precondition(lambda self: self.open())
    @rule(pick=PICKS)
    def cancel(self, pick):
        self.harness.cancel(self.pick_order(pick))

    @precondition(lambda self: self.open())
    @rule(pick=PICKS, size=SIZES)
    def replace(self, pick, size):
        self.harness.advance_clock()
        self.harness.replace(self.pick_order(pick), quantity=size)

    @rule(hours=st.integers(1, 30))
    def advance_time(self, hours):
        self.harness.advance_clock(hours=hours)
        self.harness.expire_orders()

    @rule(symbol=SYMBOLS, size=st.none() | SIZES)
    def close(self, symbol, size):
        self.harness.close_position(symbol, size)

    @precondition(lambda self: self.sent())
    @rule(pick=PICKS, size=SIZES)
    def deliver_late_fill(self, pick, size):
        sent = self.sent()
        order = sent[pick % len(sent)]
        quantity = Decimal(size)
        name = f"stray-{next(self.strays)}"
        self.harness.report_broker_event(
            order, Executed(order.id, name, quantity, Decimal(100), quantity * 100, self.harness.now)
        )

    @rule()
    def restart(self):
        self.harness.advance_clock()  # ids of one millisecond are in order within a process only
        self.harness.restart()

    def orders(self):
        return [parse_order_row(row) for row in self.harness.query(EVERY_ORDER)]

    def open(self):
        return [order for order in self.orders() if order.status in OPEN_STATUSES]

    def sent(self):
        """Orders that reached the broker; what was never sent cannot fill."""
        return [order for order in self.orders() if order.accepted_at is not None]

    def pick_order(self, pick):
        open_orders = self.open()
        return open_orders[pick % len(open_orders)]

    def executions(self):
        return self.harness.query(
            "SELECT e.order_id, e.symbol, e.side, e.quantity, e.value, t.sequence FROM executions e "
            "JOIN trades t ON t.tenant_id = e.tenant_id AND t.trade_id = e.trade_id "
            "WHERE e.tenant_id = :tenant ORDER BY t.sequence"
        )

    @invariant()
    def check_quantities(self):
        for order in self.orders():
            if order.status in OPEN_STATUSES:
                assert order.filled_quantity + order.leaves_quantity == order.quantity, order
                assert order.leaves_quantity > 0, order
            else:
                assert order.leaves_quantity == 0

    @invariant()
    def check_histories(self):
        with self.harness.engine.connect() as connection:
            moves = {
                stored_order.id: list_order_events(connection, self.harness.tenant, stored_order.id)
                for stored_order in self.orders()
            }
        for order in self.orders():
            history = [(row.sequence, row.from_status, row.to_status) for row in moves[order.id]]
            assert [sequence for sequence, _, _ in history] == list(range(1, order.event_count + 1))
            assert history[-1][2] == order.status
            before = None
            for _, start, end in history:
                assert start == before
                assert start is None or start == end or end in TRANSITIONS[Status(start)]
                before = end

    @invariant()
    def check_chains(self):
        orders = {order.id: order for order in self.orders()}
        filled, value = defaultdict[str, Decimal](Decimal), defaultdict[str, Decimal](Decimal)
        for order_id, _, _, quantity, worth, _ in self.executions():
            last = orders[order_id]
            while last.replaced_by:
                last = orders[last.replaced_by]
            filled[last.id] += Decimal(str(quantity))
            value[last.id] += Decimal(str(worth))
        for order in orders.values():
            if order.replaced_by is None:
                assert (order.filled_quantity, order.filled_value) == (filled[order.id], value[order.id])

    @invariant()
    def check_books(self):
        fills, cash = defaultdict(list), OPENING_CASH
        for _, symbol, side, quantity, worth, _ in self.executions():
            fills[symbol].append((side, Decimal(str(quantity)), Decimal(str(worth))))
            cash += Decimal(str(worth)) * (-1 if side == "BUY" else 1)
        for symbol, quantity, cost, realised in self.harness.query(
            "SELECT symbol, quantity, cost, realized_pnl FROM positions WHERE tenant_id = :tenant"
        ):
            stored_position = tuple(Decimal(str(value)) for value in (quantity, cost, realised))
            assert stored_position == compute_position(fills[symbol])
        for (stored_cash,) in self.harness.query("SELECT cash FROM portfolios WHERE tenant_id = :tenant"):
            assert Decimal(str(stored_cash)) == cash

    @invariant()
    def check_exit_quantities(self):
        orders = self.orders()
        for entry in orders:
            legs = [order for order in orders if order.parent_id == entry.id and order.role in EXIT_ROLES]
            for leg in legs:
                if leg.status in OPEN_STATUSES and leg.status is not Status.HELD and leg.replaces is None:
                    assert leg.leaves_quantity <= entry.filled_quantity

    @invariant()
    def check_reduce_only(self):
        for change, after in self.harness.query(
            "SELECT t.quantity_delta, t.position_quantity FROM trades t JOIN executions e "
            "ON e.tenant_id = t.tenant_id AND e.trade_id = t.trade_id JOIN orders o "
            "ON o.tenant_id = e.tenant_id AND o.id = e.order_id "
            "WHERE t.tenant_id = :tenant AND o.role = 'closing' AND e.execution_id NOT LIKE 'stray-%'"
        ):
            quantity_after = Decimal(str(after))
            assert (quantity_after - Decimal(str(change))) * quantity_after >= 0

    @invariant()
    def check_caches(self):
        with self.engine.connect() as connection:
            for portfolio_id, version in self.harness.query(
                "SELECT id, orders_stamp FROM portfolios WHERE tenant_id = :tenant"
            ):
                portfolio_key = PortfolioKey(self.harness.tenant, portfolio_id)
                entry = self.harness.handler._services.portfolios._portfolios._entries.get(portfolio_key)
                cached_orders = None if entry is None else entry[1].open_orders
                if cached_orders is not None and cached_orders.version == version:
                    stored_orders = {
                        order.id: order for order in list_open_orders(connection, [portfolio_key])
                    }
                    assert cached_orders.orders == stored_orders
                    assert not FINAL_STATUSES & {order.status for order in cached_orders.orders.values()}


@pytest.mark.any_database
def test_random_order_activity_keeps_books_and_histories_consistent(engine):
    Lives.engine = engine
    settings_of_test = settings(
        max_examples=10, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
    )
    run_state_machine_as_test(Lives, settings=settings_of_test)
