"""A table that remembers rates gives the same ones, and looks them up once."""

from datetime import date

from app.costs.rules.charges import find_rates
from app.costs.rules.rates import RateTable
from app.costs.rules.values import OrderTerms, Schedule
from app.costs.service import read_rates
from app.ledger.rules.accounting import Side


def test_remembered_rates_are_those_of_the_table():
    plain, remembering = RateTable(read_rates()), RateTable(read_rates())
    remembering.remembered = {}
    for side in Side:
        order = OrderTerms(Schedule.ZERODHA, "NSE", side, date(2026, 1, 5), "MIS")
        first = find_rates(order, remembering)
        assert first == find_rates(order, plain)
        assert find_rates(order, remembering) is first
    assert len(remembering.remembered) == 2
    assert plain.remembered is None
