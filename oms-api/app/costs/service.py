"""Load the rates of this release, and estimate the charges of orders."""

from decimal import Decimal
from functools import cache
from importlib import resources
from typing import NamedTuple

from app.costs.errors import RateUnknown
from app.costs.rules.charges import compute_dp_charge, compute_fill_charges, get_rates
from app.costs.rules.rates import Rate, RateTable, parse_rates
from app.costs.rules.values import ChargedExecution, Charges, ChargeTotals, OrderTerms


class CostEstimate(NamedTuple):
    """The charges of an order filled by one execution, the first of its day.

    `dp_charge` is charged separately, once per scrip and day. It is None if the rate of that date is unknown.
    """

    charges: Charges
    dp_charge: Decimal | None
    rates: tuple[Rate, ...]


def read_rates() -> list[Rate]:
    """Return the rates of the table of this release. Raises InvalidRates."""
    return parse_rates(resources.files("app.costs").joinpath("rates.csv").read_text("utf-8"))


@cache
def load_rates() -> RateTable:
    """Return the rates of this release, read once. Raises InvalidRates."""
    return RateTable(read_rates())


def estimate_charges(order: OrderTerms, execution: ChargedExecution, table: RateTable) -> CostEstimate:
    """Return the charges of the order. Raises RateUnknown if the table begins after the order's day."""
    rates = get_rates(order, table)
    charges = compute_fill_charges(order, ChargeTotals(), execution, table).charges
    return CostEstimate(charges, _compute_dp_charge(order, table), tuple(rates.values()))


def _compute_dp_charge(order: OrderTerms, table: RateTable) -> Decimal | None:
    try:
        return compute_dp_charge(order, table)
    except RateUnknown:
        return None
