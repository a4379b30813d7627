"""State that is kept between batches is used only while its version is current."""

from dataclasses import replace

import pytest

from app.database.versioned_cache import VersionedCache
from app.ledger.service.portfolio_state import (
    build_portfolio,
    create_open_orders_version,
    get_repair_version,
    renew_open_orders_version,
)
from app.money import ZERO
from app.orders.service.batch_state.portfolio_cache import CachedPortfolio

PLACE = (1, 7)


@pytest.fixture
def cached_values():
    cache: VersionedCache[tuple[int, int], str] = VersionedCache(10, len)
    cache.put(PLACE, "version", "value")
    return cache


def test_cached_value_is_found_under_the_same_version(cached_values):
    assert cached_values.get(PLACE, "version") == "value"
    assert cached_values.get(PLACE, "another") is None
    assert cached_values.get((1, 8), "version") is None


def test_cached_value_can_be_taken_once(cached_values):
    assert cached_values.take(PLACE, "version") == "value"
    assert cached_values.take(PLACE, "version") is None


def test_other_version_finds_nothing_and_evicts_the_value(cached_values):
    assert cached_values.take(PLACE, "another") is None
    assert cached_values.get(PLACE, "version") is None


def test_newest_version_is_kept(cached_values):
    cached_values.put(PLACE, "newer", "other")
    assert cached_values.get(PLACE, "version") is None
    assert cached_values.get(PLACE, "newer") == "other"


def test_cache_size_is_bounded(cached_values):
    cached_values.put((1, 8), "version", "other")  # five and five
    assert cached_values.get(PLACE, "version") == "value"
    cached_values.put((1, 8), "version", "larger")  # in the place of the other: five and six
    assert cached_values.get(PLACE, "version") is None
    assert cached_values.get((1, 8), "version") == "larger"
    cached_values.put((1, 8), "version", "5")
    cached_values.put(PLACE, "version", "123456789")
    assert cached_values.get((1, 8), "version") == "5"


def test_change_keeps_the_repair_version_and_a_repair_changes_it():
    for version in ("", "0123456789abcdef", create_open_orders_version()):
        renewed = renew_open_orders_version(version)
        assert len(renewed) == 16
        assert renewed != renew_open_orders_version(version)
        assert get_repair_version(renewed) == get_repair_version(version)
        assert get_repair_version(create_open_orders_version()) != get_repair_version(version)


def test_ledger_that_does_not_continue_the_cached_one_is_read_anew():
    opened = build_portfolio(1, 1, "Growth", "growth", opening_cash=ZERO)
    state = replace(opened, last_sequence=5, last_hash="hash 5")
    cached = CachedPortfolio(last_sequence=5, last_hash="hash 5")
    assert cached.precedes(state)
    assert not cached.precedes(replace(state, last_hash="another"))
    assert cached.precedes(replace(state, last_sequence=6, last_hash="hash 6"))
    assert not cached.precedes(replace(state, last_sequence=4, last_hash="hash 4"))


def buy_shares(api, quantity):
    return api.post_order(symbol="AAPL", side="BUY", quantity=quantity, type="MARKET", limit_price=None)


def assert_denied(response):
    assert response.status_code == 422, response.text
    denial = response.json()["denial"]
    return denial["code"], denial["largest_passing"]


@pytest.mark.parametrize(("between", "most"), [("nothing", "10"), ("a trade", "1"), ("a quote", "8")])
def test_order_is_checked_against_current_state_not_a_stale_cache(api, between, most):
    """Cash of 1,000,000 buys 100 at 10,000; 90 are bought, then something happens."""
    api.set_quote("AAPL", "10000", "10000", "10000")
    assert buy_shares(api, "90").status_code == 201
    if between == "a trade":
        api.buy("9", "10000", symbol="AAPL", portfolio_name="Growth")
    elif between == "a quote":
        api.set_quote("AAPL", "12500", "12500", "12500")
    assert assert_denied(buy_shares(api, "11")) == ("BUYING_POWER", most)
    assert buy_shares(api, most).status_code == 201


def test_process_discards_positions_changed_by_another_process(serve):
    with serve() as first, serve() as second:
        here = first.create_client()
        there = replace(here, service=second)
        here.set_quote("AAPL", "10000", "10000", "10000")
        for api in (here, there, here, there, there, here):
            assert buy_shares(api, "15").status_code == 201
        for api in (here, there):
            assert assert_denied(buy_shares(api, "11")) == ("BUYING_POWER", "10")
        assert buy_shares(there, "9").status_code == 201
        assert assert_denied(buy_shares(here, "2")) == ("BUYING_POWER", "1")
        assert here.get_portfolio("Growth")["positions"]["AAPL"]["quantity"] == "99"


def test_process_discards_working_orders_changed_by_another_process(serve):
    """Resting orders in another symbol, of either process, reduce the buying power by 4 × 20 × 9,500."""
    with serve() as first, serve() as second:
        here = first.create_client()
        there = replace(here, service=second)
        for symbol in ("AAPL", "MSFT"):
            here.set_quote(symbol, "10000", "10000", "10000")
        resting = {"symbol": "MSFT", "side": "BUY", "quantity": "20", "type": "LIMIT", "limit_price": "9500"}
        for api in (here, there, here, there):
            assert api.post_order(**resting).status_code == 201
            assert buy_shares(api, "1").status_code == 201
        for api in (there, here):
            assert assert_denied(buy_shares(api, "30")) == ("BUYING_POWER", "20")
