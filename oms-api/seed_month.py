"""Demo month: two portfolios on two markets and in two currencies, and one order of each status.

`seed_data.py` calls it. It sends the requests of a desk to the application in this process, whose clock it
sets: it trades on the sessions of the last month, moves cash, and stores the equity at each close. If one of
its portfolios exists, it does nothing.
"""

import asyncio
import contextlib
import io
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Engine
from typing_extensions import override

from app.carry.service import CarryService
from app.config import Settings
from app.database import connect_engine, set_tenant_scope, unit_of_work
from app.identity.rules.access import FIRST_TENANT
from app.jobs.service import Lease
from app.ledger.queries.batch_statements import load_portfolio_ids
from app.main import create_app
from app.performance.service.snapshots import SnapshotService
from app.text import name_key

US, INDIA, PAUSED = "US Momentum", "India Core", "Paused Pairs"
SEED = 20_261_129
DAYS = 30
WAIT_SECONDS, POLL_SECONDS = 10.0, 0.1
# By day of the month. Of three days in a row at least one is no weekend day.
_FLOWS = dict.fromkeys((1, 2, 3, 15, 16, 17), "deposit") | dict.fromkeys((23, 24, 25), "withdrawal")
_SPLIT = {"kind": "split", "symbol": "PFE", "new_units": "2", "old_units": "1"}
_DIVIDEND = {"kind": "dividend", "symbol": "AAPL", "amount": "0.27", "currency": "USD"}
_ACTIONS = {8: _SPLIT, 12: _DIVIDEND | {"withholding_percent": "15"}}  # by the number of the session
TRADERS = ("U0AVACHEN01", "U0BENOKAF02", "U0ZOENUNE03", "U0DEVPATE04")
_SYMBOLS = {
    US: (("AAPL", 30), ("MSFT", 15), ("NVDA", 40)),
    INDIA: (("INFY", 60), ("TCS", 30), ("RELIANCE", 50)),
}
_SETTINGS: tuple[dict[str, Any], ...] = (
    {
        "name": US, "base_currency": "USD", "opening_cash": "250000", "calendar": "XNYS",
        "cost_schedules": {"US": "ibkr_fixed"},
        "approval": {"mode": "above_value", "value": "60000", "approvers": ["role:admin", "role:risk"]},
        "carry_rates": [{"kind": "interest", "from": "2026-01-01", "percent": "3.25"}],
    },
    {
        "name": INDIA, "base_currency": "INR", "opening_cash": "10000000", "calendar": "XNSE",
        "cost_schedules": {"IN": "zerodha", "US": "us_equity"},
        "carry_rates": [{"kind": "interest", "from": "2026-01-01", "percent": "5.5"}],
    },
    {"name": PAUSED, "base_currency": "USD", "opening_cash": "50000", "calendar": "XNYS"},
)  # fmt: skip


class _Lease(Lease):
    """A lease that needs no renewal: nobody else runs these jobs at a time in the past."""

    def __init__(self) -> None:
        """Need no database."""

    @override
    def renew(self) -> None:
        """Do nothing."""


class LocalClient:
    """Sends requests to the application in this process, with the operator's key."""

    def __init__(self, app: Any, key: str) -> None:
        self._app, self._key = app, key

    async def send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Return the status and the body of the response to a request below /api/v1."""
        content = orjson.dumps({} if body is None else body)
        headers = {"host": "127.0.0.1", "x-api-key": self._key, "content-type": "application/json"}
        headers["content-length"] = str(len(content))
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http",
            "method": method, "path": f"/api/v1{path}", "raw_path": f"/api/v1{path}".encode(),
            "query_string": b"", "root_path": "", "client": ("127.0.0.1", 0), "server": ("127.0.0.1", 80),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }  # fmt: skip
        received_messages: list[Mapping[str, Any]] = []
        requests: list[Mapping[str, Any]] = [{"type": "http.request", "body": content, "more_body": False}]

        async def receive() -> Mapping[str, Any]:
            if requests:
                return requests.pop()
            await asyncio.Event().wait()  # until the request is over
            raise AssertionError

        async def send(message: Mapping[str, Any]) -> None:
            received_messages.append(message)

        await self._app(scope, receive, send)
        answer = b"".join(message.get("body", b"") for message in received_messages[1:])
        return received_messages[0]["status"], orjson.loads(answer) if answer else None

    async def request(self, method: str, path: str, body: Any = None) -> Any:
        """Return the body of a response. Raises RuntimeError if the request was refused."""
        status, answer = await self.send(method, path, body)
        if status >= 400:
            raise RuntimeError(f"the demo desk was refused: {method} {path}: {answer}")
        return answer


@dataclass
class _Month:
    """The desk on its way through the month."""

    client: LocalClient
    now: datetime
    snapshots: SnapshotService
    carry: CarryService
    last: datetime
    dice: random.Random = field(default_factory=lambda: random.Random(SEED))  # noqa: S311  # a demo, repeatable

    def set_clock(self, at: datetime) -> None:
        """Let an instant come, in UTC."""
        self.now = at

    async def run(self) -> int:
        """Trade until the last instant, then place the orders of each status. Return the number of orders."""
        day = (self.last - timedelta(days=DAYS)).replace(hour=3, minute=0, second=0, microsecond=0)
        self.set_clock(day)
        for settings in _SETTINGS:
            await self.client.request("POST", "/portfolios", settings)
        placed_count = await self._buy_before_the_split()
        sessions = 0
        while day.date() < self.last.date():
            if day.weekday() < 5:
                sessions += 1
                await self._book_corporate_action(sessions, day.replace(hour=5))
                for portfolio, hour in ((INDIA, 5), (US, 16)):
                    placed_count += await self._trade_in(portfolio, day.replace(hour=hour))
            self._store_closes(day.replace(hour=23))
            day += timedelta(days=1)
        self.set_clock(self.last - timedelta(hours=1))
        expiring = await self._place_expiring()
        self.set_clock(self.last)
        placed_count += await self._place_each_status()
        await self._wait_until_expired(expiring)
        await self._stop_some()
        return placed_count + 1

    async def _buy_before_the_split(self) -> int:
        """Buy the symbol of the split, at a quote that is set: the simulated prices ignore splits."""
        quote = {"bid": "25.10", "ask": "25.12", "last": "25.11"}
        await self.client.request("PUT", f"/quotes/{_SPLIT['symbol']}", quote)
        await self._place_order(symbol=_SPLIT["symbol"], type="MARKET", time_in_force="DAY", quantity="60")
        return 1

    async def _book_corporate_action(self, session: int, at: datetime) -> None:
        """Book an action on its ex-date, before the open."""
        action = _ACTIONS.get(session)
        if action is not None:
            self.set_clock(at)
            dated = {"ex_date": at.date().isoformat(), "reason": "Announced by the company"}
            await self.client.request("POST", "/corporate-actions", action | dated)

    async def _trade_in(self, portfolio: str, at: datetime) -> int:
        """Place some market orders in a session, and sometimes move cash."""
        self.set_clock(at)
        count = 0
        for symbol, size in _SYMBOLS[portfolio]:
            self.now += timedelta(minutes=self.dice.randint(5, 40))
            if self.dice.random() < 0.45:
                continue
            side = "BUY" if self.dice.random() < 0.62 else "SELL"
            terms = {"portfolio_name": portfolio, "symbol": symbol, "side": side, "type": "MARKET"}
            terms |= {"quantity": str(self.dice.randint(1, size)), "user_id": self.dice.choice(TRADERS)}
            terms |= {"strategy": self.dice.choice(("momentum", "mean-reversion"))}
            count += (await self.client.send("POST", "/orders", terms))[0] < 400
        if at.day in _FLOWS:
            await self._move_cash(portfolio, _FLOWS[at.day])
        self.snapshots.take_interval_snapshots(_Lease())
        return count

    async def _move_cash(self, portfolio: str, kind: str) -> None:
        amount, currency = ("250000", "INR") if portfolio == INDIA else ("10000", "USD")
        flow = {"kind": kind, "amount": amount, "currency": currency, "reason": "Monthly allocation"}
        await self.client.request("POST", f"/portfolios/{portfolio}/cash", flow)
        self.now += timedelta(seconds=5)
        self.snapshots.take_flow_snapshots(_Lease())

    def _store_closes(self, at: datetime) -> None:
        self.set_clock(at)
        self.snapshots.take_close_snapshots(_Lease())
        self.carry.book(_Lease())

    async def _place_order(self, **terms: Any) -> dict[str, Any]:
        common_terms = {"portfolio_name": US, "side": "BUY", "time_in_force": "GTC", "user_id": TRADERS[0]}
        placed_order: dict[str, Any] = await self.client.request("POST", "/orders", common_terms | terms)
        return placed_order

    async def _place_expiring(self) -> str:
        until = (self.last - timedelta(minutes=30)).isoformat()
        terms = {"symbol": "AMZN", "type": "LIMIT", "limit_price": "50", "quantity": "5"}
        return str((await self._place_order(**terms, time_in_force="GTD", expires_at=until))["id"])

    async def _place_each_status(self) -> int:
        """Place orders that are accepted, held, triggered, partly filled, replaced, canceled and denied."""
        await self.client.request(
            "PUT", "/quotes/T", {"bid": "25.90", "ask": "26.00", "last": "26.00", "ask_size": "40"}
        )
        limit = {"symbol": "META", "type": "LIMIT", "limit_price": "200", "quantity": "10"}
        exits = {"take_profit": {"limit_price": "900"}, "stop_loss": {"stop_price": "150"}}
        await self._place_order(**limit, **exits)  # ACCEPTED, its exits HELD
        await self._place_order(
            symbol="T", type="LIMIT", limit_price="26", quantity="100"
        )  # PARTIALLY_FILLED
        await self._place_order(
            symbol="T", type="STOP_LIMIT", stop_price="26", limit_price="25", quantity="10"
        )
        replaced = await self._place_order(symbol="GOOGL", type="LIMIT", limit_price="90", quantity="5")
        await self.client.request("PATCH", f"/orders/{replaced['id']}", {"limit_price": "95"})
        canceled = await self._place_order(symbol="KO", type="LIMIT", limit_price="30", quantity="20")
        await self.client.request("POST", f"/orders/{canceled['id']}/cancel", {"reason": "Changed my mind"})
        await self._place_order(
            symbol="AMZN", type="LIMIT", limit_price="200", quantity="400"
        )  # AWAITING_APPROVAL
        too_many = {
            "portfolio_name": US,
            "symbol": "KO",
            "side": "BUY",
            "type": "MARKET",
            "quantity": "900000",
        }
        await self.client.send("POST", "/orders", too_many)  # DENIED
        return 8

    async def _wait_until_expired(self, order_id: str) -> None:
        """Wait for the background job that expires orders."""
        for _ in range(int(WAIT_SECONDS / POLL_SECONDS)):
            order = await self.client.request("GET", f"/orders/{order_id}")
            if order["status"] == "EXPIRED":
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _stop_some(self) -> None:
        """Halt a portfolio and a strategy."""
        for scope, name, reason in (
            ("portfolio", PAUSED, "The spread widened beyond its limits"),
            ("strategy", "mean-reversion", "Review after four losing days"),
        ):
            stop = {"scope": scope, "name": name, "state": "HALTED", "reason": reason}
            await self.client.request("POST", "/kill-switch", stop)


def seed_month(engine: Engine, settings: Settings, now: datetime) -> int:
    """Seed the month unless a portfolio of it exists. Return the number of orders that were placed."""
    with unit_of_work(engine) as connection:
        set_tenant_scope(connection, [FIRST_TENANT])
        keys = [(FIRST_TENANT, name_key(name)) for name in (US, INDIA, PAUSED)]
        if load_portfolio_ids(connection, keys):
            return 0
    quiet = settings.model_copy(update={"rate_limit_per_minute": 0, "duties": "worker"})
    with contextlib.redirect_stdout(io.StringIO()):  # the access log
        return asyncio.run(_run_month(quiet, now))


async def _run_month(settings: Settings, now: datetime) -> int:
    holder: list[_Month] = []
    app = create_app(settings, lambda: holder[0].now if holder else now)
    engine = connect_engine(settings.database_url, readers=1, tenant_scoped=True)
    state = app.state
    sources = (engine, state.market.load_past_marks, state.calendars)

    def read_clock() -> datetime:
        return holder[0].now

    snapshots = SnapshotService(*sources, timedelta(seconds=settings.equity_interval_seconds), read_clock)
    carry = CarryService(*sources, read_clock)
    holder.append(_Month(LocalClient(app, settings.oms_api_key), now, snapshots, carry, now))
    try:
        async with app.router.lifespan_context(app):
            return await holder[0].run()
    finally:
        engine.dispose()
