"""A table that caches rates gives the same ones, and searches for them once."""

from datetime import date

from app.costs.rules.charges import get_rates
from app.costs.rules.rates import RateTable
from app.costs.rules.values import OrderTerms, Schedule
from app.costs.service import read_rates
from app.ledger.rules.accounting import Side


def test_cached_rates_equal_the_table():
    plain, caching = RateTable(read_rates()), RateTable(read_rates())
    caching.cached_rates = {}
    for side in Side:
        order = OrderTerms(Schedule.ZERODHA, "NSE", side, date(2026, 1, 5), "MIS")
        first = get_rates(order, caching)
        assert first == get_rates(order, plain)
        assert get_rates(order, caching) is first
    assert len(caching.cached_rates) == 2
    assert plain.cached_rates is None
