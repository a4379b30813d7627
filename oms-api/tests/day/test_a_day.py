"""A simulated day: orders of every type, price changes, killed processes and restarts; the books add up."""

from decimal import Decimal

import pytest

from tests.day.invariant_checks import recompute_books
from tests.day.simulation import simulate


@pytest.mark.timeout(180)
def test_short_simulated_day_keeps_the_books_consistent(database_url, tmp_path):
    day = simulate(database_url, tmp_path, tickets=300, seed=1, kills=2, seconds=90)
    print(day)
    assert not day.faults, "\n".join(day.faults[:20])
    assert day.journal.slowest < 15


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", [11])
def test_whole_simulated_day_keeps_the_books_consistent(new_database, tmp_path, seed):
    day = simulate(new_database("postgresql"), tmp_path, tickets=100_000, seed=seed, kills=8, seconds=1200)
    print(day)
    assert not day.faults, "\n".join(day.faults[:20])
    assert day.journal.slowest < 15


def build_trade(sequence, side, quantity, gmv):
    fields = {"portfolio_name": "Growth", "symbol": "AAPL", "sequence": sequence, "side": side}
    return fields | {"quantity": quantity, "gmv": gmv}


def test_checks_compute_a_position_through_zero():
    rows = [
        build_trade(2, "BUY", "100", "1200"),
        build_trade(1, "BUY", "100", "1000"),
        build_trade(3, "SELL", "250", "3250"),
    ]
    positions, cash = recompute_books(rows)
    assert positions["Growth", "AAPL"] == (Decimal(-50), Decimal(-650), Decimal(400), Decimal(0))
    assert cash["Growth"] == Decimal(1050)


def test_checks_compute_the_cost_in_both_currencies():
    rows = [
        build_trade(1, "BUY", "10", "2000") | {"fx_rate": "83.50"},
        build_trade(2, "SELL", "4", "840") | {"fx_rate": "84"},
    ]
    positions, cash = recompute_books(rows)
    assert positions["Growth", "AAPL"] == (Decimal(6), Decimal(100_200), Decimal(3_760), Decimal(1_200))
    assert cash["Growth"] == Decimal(-96_440)
