"""HALTED cancels orders that open or increase a position. Exits stay, and may be tightened."""

import asyncio
from contextlib import nullcontext
from typing import Any, cast

import pytest
from sqlalchemy import text

from app.calendars.service import Calendars
from app.database import Readers
from app.errors import NotPlaced
from app.market_data.service import Market
from app.orders.rules.values import Status, StopLoss
from app.orders.service.internal_commands import CancelHalted
from app.orders.service.market_watcher import HALT_GRACE, MarketWatcher
from app.timestamps import format_timestamp
from tests.orders.exit_orders import EXIT_TERMS, SHORT_EXIT_TERMS, get_held_quantity, get_leg, list_exits
from tests.orders.requests import RESTING_LIMIT_ORDER, get_denial_code, post_group, set_switch
from tests.orders.writer_harness import to_decimal

pytestmark = pytest.mark.any_database


@pytest.fixture(autouse=True)
def _wait_for_cancels(monkeypatch):
    """Wait for the cancels however slow the machine is."""
    for name in ("MAX_RESPONSE_SECONDS", "FLATTEN_SECONDS"):
        monkeypatch.setattr(f"app.risk.service.kill_switches.{name}", 30.0)


def get_status(api, order):
    return api.get_order(order["id"])["status"]


@pytest.mark.parametrize(
    ("side", "opposite", "legs", "limits"),
    [("BUY", "SELL", EXIT_TERMS, ("90", "110")), ("SELL", "BUY", SHORT_EXIT_TERMS, ("110", "90"))],
)
def test_halt_cancels_opening_orders_and_keeps_exits(market, side, opposite, legs, limits):
    entry = market.place_order(side=side, quantity="10", **legs)
    more = market.place_order(side=side, type="LIMIT", limit_price=limits[0])
    bracket = market.place_order(side=side, type="LIMIT", limit_price=limits[0], **legs)
    reduces = market.place_order(side=opposite, type="LIMIT", limit_price=limits[1], quantity="8")
    beyond = market.place_order(side=opposite, type="LIMIT", limit_price=limits[1], quantity="3")
    result = set_switch(market, "HALTED")
    assert result["canceled"] == sorted(order["id"] for order in (more, bracket, beyond))
    assert (result["pending_portfolios"], result["flattened"]) == ([], None)
    assert [get_status(market, order) for order in (more, bracket, beyond)] == ["CANCELED"] * 3
    assert {leg["status"] for leg in list_exits(market, bracket).values()} == {"CANCELED"}
    assert get_status(market, reduces) == "ACCEPTED"
    assert {leg["status"] for leg in list_exits(market, entry).values()} == {"ACCEPTED"}


def test_halt_keeps_exits_of_a_partially_filled_entry(market):
    entry = market.place_order(**RESTING_LIMIT_ORDER, **EXIT_TERMS)
    market.set_quote("AAPL", "89", "90", "90", ask_size="4")
    assert set_switch(market, "HALTED")["canceled"] == [entry["id"]]
    assert {leg["leaves_quantity"] for leg in list_exits(market, entry).values()} == {"4"}
    market.set_quote("AAPL", "79", "80", "79")
    assert (get_held_quantity(market), list_exits(market, entry)["stop_loss"]["status"]) == ("0", "FILLED")


@pytest.mark.parametrize("policy", ["cancel", "flatten"])
def test_halt_cancels_exits_when_requested(market, policy):
    entry = market.place_order(quantity="10", **EXIT_TERMS)
    result = set_switch(market, "HALTED", exits=policy)
    assert result["canceled"] == sorted(leg["id"] for leg in list_exits(market, entry).values())
    assert {leg["status"] for leg in list_exits(market, entry).values()} == {"CANCELED"}
    assert get_held_quantity(market) == ("10" if policy == "cancel" else "0")
    assert (result["flattened"] is None) == (policy == "cancel")


def test_portfolio_or_strategy_halt_leaves_other_orders_working(market):
    names = ("Growth", "Income")
    orders = {
        (name, strategy): market.place_order(**RESTING_LIMIT_ORDER, portfolio_name=name, strategy=strategy)
        for name in names
        for strategy in ("S", None)
    }
    set_switch(market, "HALTED", scope="strategy", name="S")
    assert {key for key, order in orders.items() if get_status(market, order) == "CANCELED"} == {
        ("Growth", "S"),
        ("Income", "S"),
    }
    set_switch(market, "HALTED", scope="portfolio", name="growth")
    assert get_status(market, orders["Growth", None]) == "CANCELED"
    assert get_status(market, orders["Income", None]) == "ACCEPTED"


@pytest.mark.parametrize("kind", ["OCO", "OTO"])
def test_halt_cancels_whole_groups_that_open_positions(market, kind):
    first, second = (
        {"side": "BUY", "type": "LIMIT", "limit_price": "90"},
        {"side": "SELL", "type": "LIMIT", "limit_price": "110"},
    )
    pair_orders = post_group(market, kind, first, second).json()["orders"]
    set_switch(market, "HALTED")
    assert [get_status(market, order) for order in pair_orders] == ["CANCELED", "CANCELED"]


def test_halt_keeps_oco_pair_and_oto_child_that_only_close(market):
    entry, stop = (
        {"side": "BUY", "type": "MARKET", "quantity": "20"},
        {"side": "SELL", "type": "STOP", "stop_price": "80"},
    )
    follower = post_group(market, "OTO", entry, stop).json()["orders"][1]
    pair_orders = post_group(
        market, "OCO", {"side": "SELL", "type": "LIMIT", "limit_price": "120"}, stop
    ).json()["orders"]
    assert set_switch(market, "HALTED")["canceled"] == []
    for order in (follower, *pair_orders):
        assert get_status(market, order) == "ACCEPTED"
    for order in (follower, pair_orders[1]):
        changed = market.patch(f"/orders/{order['id']}", {"stop_price": "85"})
        assert (changed.status_code, changed.json()["status"]) == (200, "ACCEPTED")
        assert (
            get_denial_code(market.patch(f"/orders/{changed.json()['id']}", {"stop_price": "84"})) == "HALTED"
        )


@pytest.mark.parametrize(
    ("leg", "tightened", "loosened"),
    [
        ("stop_loss", {"stop_price": "85"}, {"stop_price": "79"}),
        ("take_profit", {"limit_price": "115"}, {"limit_price": "121"}),
        ("stop_loss", {"quantity": "5"}, {"stop_price": "85", "time_in_force": "DAY"}),
    ],
)
def test_halt_allows_only_tightening_of_exits(market, leg, tightened, loosened):
    entry = market.place_order(quantity="10", **EXIT_TERMS)
    set_switch(market, "HALTED")
    path = f"/orders/{list_exits(market, entry)[leg]['id']}"
    assert get_denial_code(market.patch(path, loosened)) == "HALTED"
    changed = market.patch(path, tightened)
    assert (changed.status_code, changed.json()["status"]) == (200, "ACCEPTED")
    assert market.post(f"/orders/{changed.json()['id']}/cancel", {}).status_code == 200


def test_repeated_halt_reports_the_orders_it_cancels(market):
    order = market.place_order(**RESTING_LIMIT_ORDER)
    body = {"scope": "tenant", "state": "HALTED", "exits": "keep"}
    first, repeated_result = (
        market.post("/kill-switch", body, {"Idempotency-Key": "H"}).json() for _ in range(2)
    )
    assert (first["canceled"], repeated_result["canceled"]) == ([order["id"]], [])
    other = market.post("/kill-switch", body | {"exits": "cancel"}, {"Idempotency-Key": "H"})
    assert other.status_code == 409


def test_order_not_cancelled_in_time_by_a_halt_never_fills(harness):
    """As after a crash between the turn of the switch and its cancels."""
    harness.place_order(quantity="10", stop_loss=StopLoss(to_decimal("80")))
    waiting = harness.place_order(type="LIMIT", limit_price="90", time_in_force="GTC")
    other = harness.place_order(type="LIMIT", limit_price="90", time_in_force="GTC", strategy="S")
    set_halt(harness, "strategy", "S")
    harness.publish_quote("89", "90", "90")
    assert (harness.get_order(waiting).status, harness.get_order(other).status) == (
        Status.FILLED,
        Status.CANCELED,
    )
    new_order = harness.place_order(type="LIMIT", limit_price="85", time_in_force="GTC")
    set_halt(harness, "tenant", "")
    harness.publish_quote("84", "85", "85")
    assert harness.get_order(new_order).status is Status.CANCELED


def test_bracket_cancelled_late_by_a_halt_keeps_exits_of_the_filled_quantity(harness):
    harness.publish_quote("99", "101", "100", ask_size="4")
    entry = harness.place_order(type="LIMIT", limit_price="101", stop_loss=StopLoss(to_decimal("80")))
    set_halt(harness, "tenant", "")
    harness.publish_quote("99", "101", "100")
    assert (harness.get_order(entry).status, harness.get_order(entry).filled_quantity) == (Status.CANCELED, 4)
    assert get_leg(harness, entry, "stop_loss").leaves_quantity == 4


class Writer:
    """Does commands at once, and counts those that cancel what is halted."""

    def __init__(self, harness):
        self.harness, self.cancels, self.is_away = harness, 0, False

    def submit_all(self, commands):
        self.cancels += sum(isinstance(command, CancelHalted) for command in commands)
        return [self._run(command) for command in commands]

    async def _run(self, command):
        if self.is_away:
            raise NotPlaced("the writer is away")
        return self.harness.run(command)


@pytest.fixture
def create_watcher(harness):
    """Return a function that lets a market watcher look once, and returns how many cancels it sent so far."""
    readers, writer = Readers(harness.engine, 1), Writer(harness)
    watcher = MarketWatcher(
        readers, cast("Any", writer), Market(harness.source, readers), lambda: harness.now, Calendars.load()
    )

    def check(*, is_away=False):
        writer.is_away = is_away
        with pytest.raises(NotPlaced) if is_away else nullcontext():
            asyncio.run(watcher.check())
        return writer.cancels

    yield check
    readers.close()


def test_market_watcher_cancels_orders_left_by_a_halt_on_its_first_run(harness, create_watcher):
    """As after a crash between the turn of the switch and its cancels, with no quote since."""
    entry = harness.place_order(quantity="10", stop_loss=StopLoss(to_decimal("80")))
    waiting = harness.place_order(type="LIMIT", limit_price="90", time_in_force="GTC")
    set_halt(harness, "tenant", "")
    harness.advance_clock(seconds=HALT_GRACE.total_seconds())
    assert create_watcher(is_away=True) == 1
    assert harness.get_order(waiting).status is Status.ACCEPTED
    assert [create_watcher(), create_watcher()] == [2, 2]  # until it succeeds, and once
    assert harness.get_order(waiting).status is Status.CANCELED
    assert get_leg(harness, entry, "stop_loss").status is Status.ACCEPTED


def test_market_watcher_waits_before_it_completes_a_halt(harness, create_watcher):
    other = harness.place_order(type="LIMIT", limit_price="90", time_in_force="GTC")
    order = harness.place_order(type="LIMIT", limit_price="90", time_in_force="GTC", strategy="S")
    assert create_watcher() == 0
    set_halt(harness, "strategy", "S", format_timestamp(harness.now))
    assert create_watcher() == 0
    harness.advance_clock(seconds=HALT_GRACE.total_seconds())
    assert create_watcher() == 1
    assert (harness.get_order(order).status, harness.get_order(other).status) == (
        Status.CANCELED,
        Status.ACCEPTED,
    )


def set_halt(harness, scope, key, at="2026-11-20T12:00:00.000000Z"):
    """Turn a switch in the database, as another process does."""
    with harness.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO kill_switches (tenant_id, scope, name_key, name, state, set_by, set_at)"
                " VALUES (:tenant, :scope, :key, :key, 'HALTED', 'test', :at)"
            ),
            {"tenant": harness.tenant, "scope": scope, "key": key, "at": at},
        )
