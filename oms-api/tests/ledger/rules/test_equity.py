"""Exposure of positions in other currencies: at the current rate, else at the rate of their cost."""

from decimal import Decimal

import pytest

from app.instruments.rules import InstrumentKey
from app.ledger.rules.equity import PositionToValue, value_exposures
from app.ledger.rules.keys import PortfolioKey

BOOK = PortfolioKey(1, 7)


def build_position(local_cost):
    """Return 10 units bought at 200 USD for 167,000 INR."""
    cost = Decimal(167_000)
    return PositionToValue(BOOK, "AAPL", "", Decimal(10), cost, "USD", local_cost, 3, "INR")


@pytest.mark.parametrize(
    ("rates", "local_cost", "net"),
    [
        ({(1, "USD", "INR"): Decimal(85)}, Decimal(2_000), 178_500),
        ({}, Decimal(2_000), 175_350),  # at 83.50, the rate of the cost
        ({}, None, 2_100),  # without any rate
    ],
)
def test_position_in_another_currency_is_converted_at_the_best_known_rate(rates, local_cost, net):
    exposure = value_exposures(
        [build_position(local_cost)], {InstrumentKey(1, "AAPL"): Decimal(210)}, {}, rates
    )[BOOK]
    assert (exposure.gross, exposure.net, exposure.unrealized_pnl) == (net, net, net - 167_000)


def test_position_without_a_quote_is_valued_at_its_last_trade():
    exposure = value_exposures([build_position(Decimal(2_000))], {}, {(BOOK, 3): Decimal(100)}, {})[BOOK]
    assert exposure.net == 83_500
