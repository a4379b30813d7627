"""A month of a tenant with two portfolios on two markets and in two currencies, by its own clock."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from app.carry.service import CarryService
from app.database import connect_engine
from app.performance.service.snapshots import SnapshotService
from tests.month.naive import SPLIT_RATIO, Quotes
from tests.support.clock import SetClock
from tests.support.jobs import EndlessLease
from tests.support.service import ApiClient, Service, run_service

FIRST, LAST = date(2026, 10, 1), date(2026, 10, 30)
HOLIDAYS = {date(2026, 10, 2), date(2026, 10, 20)}  # of the NSE; the NYSE has none in the month
INDIA, AMERICA = "India", "America"
CURRENCIES = {INDIA: "INR", AMERICA: "USD"}
OPENING = {INDIA: Decimal(2_000_000), AMERICA: Decimal(100_000)}
PRICES = {"AAPL": 250, "MSFT": 500, "INFY": 1500, "TCS": 3000, "USD/INR": 84}
ACTIONS: dict[date, dict[str, str]] = {
    date(2026, 10, 13): {"kind": "split", "symbol": "AAPL", "new_units": "2", "old_units": "1"},
    date(2026, 10, 15): {
        "kind": "dividend",
        "symbol": "AAPL",
        "amount": "0.27",
        "currency": "USD",
        "withholding_percent": "25",
    },
    date(2026, 10, 21): {
        "kind": "dividend",
        "symbol": "TCS",
        "amount": "15.35",
        "currency": "INR",
        "withholding_percent": "10",
    },
}
LEASE = EndlessLease()
RISK = {"X-On-Behalf-Of": "slack:T1:RISK"}
_RATES = [
    {"kind": "interest", "from": "2026-01-01", "percent": "2.5"},
    {"kind": "margin", "from": "2026-01-01", "percent": "9"},
    {"kind": "margin", "from": "2026-10-14", "percent": "11.25"},
    {"kind": "borrow", "from": "2026-01-01", "percent": "0.75", "currency": "USD"},
    {"kind": "borrow", "from": "2026-01-01", "percent": "6"},
]


@dataclass
class Month:
    """The simulated month. `closes` are the instants of the closes by portfolio."""

    service: Service
    api: ApiClient
    clock: SetClock
    snapshots: SnapshotService
    carry: CarryService
    dice: Random
    quotes: Quotes = field(default_factory=Quotes)
    closes: dict[str, list[datetime]] = field(default_factory=lambda: {INDIA: [], AMERICA: []})
    flows: dict[str, list[datetime]] = field(default_factory=lambda: {INDIA: [], AMERICA: []})
    approved: int = 0
    denied: int = 0

    def run(self) -> None:
        """Trade on each day of the month."""
        self._set_up()
        day = FIRST
        while day <= LAST:
            if day.weekday() < 5:
                self._trade_on(day)
            day += timedelta(days=1)

    def _set_up(self) -> None:
        api = self.api
        api.claim_workspace("T1")
        self.assert_ok(api.post("/users", {"person": "slack:T1:RISK", "name": "Risk", "role": "risk"}))
        for symbol, exchange, currency in (
            *(("AAPL", "NASDAQ", "USD"), ("MSFT", "NASDAQ", "USD")),
            *(("INFY", "NSE", "INR"), ("TCS", "NSE", "INR")),
        ):
            terms = {"tick_size": "0.01", "lot_size": "1", "currency": currency, "exchange": exchange}
            self.assert_ok(api.put(f"/instruments/{symbol}", terms))
        self.publish_quotes(PRICES)
        schedules = {"IN": "zerodha", "US": "ibkr_fixed"}
        for name, calendar in ((INDIA, "XNSE"), (AMERICA, "XNYS")):
            portfolio = {"name": name, "base_currency": CURRENCIES[name], "opening_cash": str(OPENING[name])}
            settings = {"calendar": calendar, "cost_schedules": schedules, "carry_rates": _RATES}
            self.assert_ok(api.post("/portfolios", {**portfolio, **settings}))
        policy = {"mode": "above_value", "value": "30000", "approvers": ["role:risk"]}
        self.assert_ok(api.patch(f"/portfolios/{AMERICA}", {"approval": policy}))

    def _trade_on(self, day: date) -> None:
        self._book_corporate_action(day)
        if day not in HOLIDAYS:
            self.clock.set(f"{day}T05:00")
            self.publish_quotes(("INFY", "TCS", "USD/INR"))
            for symbol in ("INFY", "TCS", "AAPL"):
                self._trade(INDIA, symbol, self.dice.randint(1, 60))
            self._move_cash(INDIA)
            self._close(day, "09:50", "10:00", INDIA, ("INFY", "TCS"))
        self.clock.set(f"{day}T15:00")
        self.publish_quotes(("AAPL", "MSFT", "USD/INR"))
        for symbol in ("AAPL", "MSFT"):
            self._trade(AMERICA, symbol, self.dice.randint(1, 120))
        self._move_cash(AMERICA)
        self._close(day, "19:50", "20:00", AMERICA, ("AAPL", "MSFT", "USD/INR"))

    def _book_corporate_action(self, day: date) -> None:
        """Book a split or a dividend on its ex-date, before the first trade of the day."""
        terms = ACTIONS.get(day)
        if terms is None:
            return
        self.clock.set(f"{day}T04:30")
        announced = {"ex_date": day.isoformat(), "reason": "Announced"}
        body = self.assert_ok(self.api.post("/corporate-actions", {**terms, **announced}))
        assert body["status"] == "booked", body
        if terms["kind"] == "split":  # the next quote is in new units
            price = self.quotes.mark(terms["symbol"], self.clock.at) / SPLIT_RATIO
            self.quotes.add(terms["symbol"], self.clock.at, price)
            self.publish_quotes((terms["symbol"],))

    def _trade(self, portfolio: str, symbol: str, quantity: int) -> None:
        """Place a market order, or report a trade, some of which are reversed."""
        side = self.dice.choice(("BUY", "SELL"))
        terms = {"portfolio_name": portfolio, "symbol": symbol, "side": side, "quantity": str(quantity)}
        self.clock.at += timedelta(seconds=1)
        if self.dice.random() < 0.35:
            price = str(self.quotes.mark(symbol, self.clock.at))
            trade = self.assert_ok(self.api.post("/trade", terms | {"price": price}))["trade"]
            if self.dice.random() < 0.5:
                self.clock.at += timedelta(seconds=1)
                self.assert_ok(self.api.post_reversal(trade["trade_id"]))
            return
        product = {"product": "CNC"} if symbol in {"INFY", "TCS"} else {}
        response = self.api.post("/orders", terms | {"type": "MARKET"} | product)
        if response.status_code == 422:
            self.denied += 1
            return
        order = self.assert_ok(response)
        if order["status"] == "AWAITING_APPROVAL":
            self.clock.at += timedelta(minutes=1)
            decision = self.dice.choice(("approve", "approve", "reject"))
            self.assert_ok(self.api.post(f"/orders/{order['id']}/{decision}", {"reason": "Seen"}, RISK))
            self.approved += decision == "approve"

    def _move_cash(self, portfolio: str) -> None:
        if self.dice.random() < 0.3:
            self.clock.at += timedelta(minutes=1)
            kind = self.dice.choice(("deposit", "deposit", "withdrawal"))
            body = {"kind": kind, "amount": f"{self.dice.randint(1, 500_000) / 100:.2f}", "reason": "Flow"}
            currency = CURRENCIES[portfolio]
            response = self.api.post(f"/portfolios/{portfolio}/cash", body | {"currency": currency})
            if response.status_code == 422:  # the buying power does not cover the withdrawal
                return
            self.assert_ok(response)
            self.flows[portfolio].append(self.clock.at)
            self.clock.at += timedelta(seconds=3)
            self.snapshots.take_flow_snapshots(LEASE)

    def _close(self, day: date, last: str, end: str, portfolio: str, symbols: tuple[str, ...]) -> None:
        self.clock.set(f"{day}T{last}")
        self.publish_quotes(symbols)
        self.clock.set(f"{day}T{end}:10")
        self.snapshots.take_close_snapshots(LEASE)
        self.carry.book(LEASE)
        self.closes[portfolio].append(self.clock.at - timedelta(seconds=10))

    def publish_quotes(self, symbols: Any) -> None:
        """Publish a quote of each symbol, near its last one."""
        for symbol in symbols:
            quotes_of_symbol = self.quotes.prices.get(symbol)
            last = quotes_of_symbol[-1][1] if quotes_of_symbol else Decimal(PRICES[symbol])
            mid = (last * Decimal(self.dice.randint(975, 1026)) / 1000).quantize(Decimal("0.01"))
            half = Decimal("0.01")
            self.api.set_quote(symbol, str(mid - half), str(mid + half), str(mid))
            self.quotes.add(symbol, self.clock.at, mid)

    @staticmethod
    def assert_ok(response: Any) -> Any:
        """Return the body of a response that is no error."""
        assert response.status_code < 300, response.text
        return response.json()


@contextmanager
def simulated_month(database_url: str, seed: int) -> Iterator[Month]:
    """Run the month and yield it at its end."""
    clock = SetClock(f"{FIRST}T03:00")
    with run_service(database_url, now=clock, price_source="manual") as service:
        engine = connect_engine(database_url, readers=1, tenant_scoped=True)
        state = service.app.state
        sources = (engine, state.market.load_past_marks, state.calendars)
        snapshots = SnapshotService(*sources, timedelta(minutes=1), clock)
        month = Month(
            service, service.create_client(), clock, snapshots, CarryService(*sources, clock), Random(seed)
        )
        month.run()
        yield month
        engine.dispose()
