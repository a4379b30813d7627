"""State that is kept between batches is used only while its version is current."""

from dataclasses import replace

import pytest

from app.database.versioned_cache import VersionedCache
from app.ledger.service.portfolio_state import create_stamp, empty_portfolio, get_epoch, renew_stamp
from app.money import ZERO
from app.orders.service.batch.portfolio_cache import CachedPortfolio

PLACE = (1, 7)


@pytest.fixture
def kept():
    kept: VersionedCache[tuple[int, int], str] = VersionedCache(10, len)
    kept.put(PLACE, "version", "value")
    return kept


def test_cached_value_is_found_under_the_same_version(kept):
    assert kept.get(PLACE, "version") == "value"
    assert kept.get(PLACE, "another") is None
    assert kept.get((1, 8), "version") is None


def test_cached_value_can_be_taken_once(kept):
    assert kept.take(PLACE, "version") == "value"
    assert kept.take(PLACE, "version") is None


def test_other_version_finds_nothing_and_evicts_the_value(kept):
    assert kept.take(PLACE, "another") is None
    assert kept.get(PLACE, "version") is None


def test_newest_version_is_kept(kept):
    kept.put(PLACE, "newer", "other")
    assert kept.get(PLACE, "version") is None
    assert kept.get(PLACE, "newer") == "other"


def test_cache_size_is_bounded(kept):
    kept.put((1, 8), "version", "other")  # five and five
    assert kept.get(PLACE, "version") == "value"
    kept.put((1, 8), "version", "larger")  # in the place of the other: five and six
    assert kept.get(PLACE, "version") is None
    assert kept.get((1, 8), "version") == "larger"
    kept.put((1, 8), "version", "5")
    kept.put(PLACE, "version", "123456789")
    assert kept.get((1, 8), "version") == "5"


def test_repair_drops_what_a_change_keeps():
    """Cached values are of one epoch: a change of orders continues it, a repair begins another."""
    for stamp in ("", "0123456789abcdef", create_stamp()):
        renewed = renew_stamp(stamp)
        assert len(renewed) == 16
        assert renewed != renew_stamp(stamp)
        assert get_epoch(renewed) == get_epoch(stamp)
        assert get_epoch(create_stamp()) != get_epoch(stamp)


def test_ledger_that_does_not_continue_the_cached_one_is_read_anew():
    opened = empty_portfolio(1, 1, "Growth", "growth", opening_cash=ZERO)
    state = replace(opened, last_sequence=5, last_hash="hash 5")
    cached = CachedPortfolio(last_sequence=5, last_hash="hash 5")
    assert cached.precedes(state)
    assert not cached.precedes(replace(state, last_hash="another"))
    assert cached.precedes(replace(state, last_sequence=6, last_hash="hash 6"))
    assert not cached.precedes(replace(state, last_sequence=4, last_hash="hash 4"))


def buy(api, quantity):
    return api.place(symbol="AAPL", side="BUY", quantity=quantity, type="MARKET", limit_price=None)


def denied(answer):
    assert answer.status_code == 422, answer.text
    told = answer.json()["denial"]
    return told["code"], told["largest_passing"]


@pytest.mark.parametrize(("between", "most"), [("nothing", "10"), ("a trade", "1"), ("a quote", "8")])
def test_order_is_checked_against_current_state_not_a_stale_cache(api, between, most):
    """Cash of 1,000,000 buys 100 at 10,000; 90 are bought, then something happens."""
    api.quote("AAPL", "10000", "10000", "10000")
    assert buy(api, "90").status_code == 201
    if between == "a trade":
        api.buy("9", "10000", symbol="AAPL", portfolio_name="Growth")
    elif between == "a quote":
        api.quote("AAPL", "12500", "12500", "12500")
    assert denied(buy(api, "11")) == ("BUYING_POWER", most)
    assert buy(api, most).status_code == 201


def test_process_discards_positions_changed_by_another_process(serve):
    with serve() as first, serve() as second:
        here = first.api()
        there = replace(here, service=second)
        here.quote("AAPL", "10000", "10000", "10000")
        for api in (here, there, here, there, there, here):
            assert buy(api, "15").status_code == 201
        for api in (here, there):
            assert denied(buy(api, "11")) == ("BUYING_POWER", "10")
        assert buy(there, "9").status_code == 201
        assert denied(buy(here, "2")) == ("BUYING_POWER", "1")
        assert here.portfolio("Growth")["positions"]["AAPL"]["quantity"] == "99"


def test_process_discards_working_orders_changed_by_another_process(serve):
    """What rests in another symbol, from either process, is not there to be spent: 4 × 20 × 9,500."""
    with serve() as first, serve() as second:
        here = first.api()
        there = replace(here, service=second)
        for symbol in ("AAPL", "MSFT"):
            here.quote(symbol, "10000", "10000", "10000")
        resting = {"symbol": "MSFT", "side": "BUY", "quantity": "20", "type": "LIMIT", "limit_price": "9500"}
        for api in (here, there, here, there):
            assert api.place(**resting).status_code == 201
            assert buy(api, "1").status_code == 201
        for api in (there, here):
            assert denied(buy(api, "30")) == ("BUYING_POWER", "20")
