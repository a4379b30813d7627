"""The pre-trade checks alone: an order that passes all checks with every limit set, and a denied order.

It also measures how long it takes to build their input of positions and working orders. Needs the service's
package on its path: `PYTHONPATH=oms-api python -m bench.risk`. With `--profile` it prints a profile.
"""

import argparse
import cProfile
import pstats
import sys
from collections.abc import Callable
from decimal import Decimal
from time import perf_counter

from app.risk.rules.evaluation import evaluate_order, list_headrooms
from app.risk.rules.exposure import build_symbol_exposure, sum_totals
from app.risk.rules.limits import LimitCode, LimitScope, LimitSubject, RiskLimit, index_limits, resolve_limits
from app.risk.rules.permissions import NO_PRODUCT
from app.risk.rules.values import (
    CandidateOrder,
    OrderLimits,
    Permission,
    Prices,
    RiskInput,
    SymbolExposure,
    TradedInstrument,
    WorkingOrder,
)
from bench.report import ResultLine, check_at_most, print_lines

ROUNDS, CALLS = 7, 5_000
POSITIONS, ORDERS = 10, 6
PRICES = Prices(Decimal("99.95"), Decimal("100.05"), Decimal(100))
SHARE = TradedInstrument(Decimal("0.01"), Decimal(1))
LISTED = Permission(frozenset({"AAPL", "MSFT"}), frozenset({"BUY", "SELL"}), frozenset({NO_PRODUCT}))
_MANY = Decimal(10) ** 9


def build_risk_input(quantity: str = "100") -> RiskInput:
    """Return a BUY at the ask in a portfolio of POSITIONS positions and ORDERS working orders."""
    orders = [
        WorkingOrder(
            "BUY" if number % 2 else "SELL", "LIMIT", Decimal(10), Decimal(95 if number % 2 else 105)
        )
        for number in range(ORDERS)
    ]
    other_exposures = [SymbolExposure(Decimal(100), Decimal(50))] * (POSITIONS - 1)
    return RiskInput(
        order=CandidateOrder("AAPL", "BUY", "LIMIT", Decimal(quantity), limit_price=PRICES.ask),
        instrument=SHARE,
        prices=PRICES,
        symbol_exposure=build_symbol_exposure(Decimal(100), PRICES.last, orders, PRICES),
        limits=_build_limits(),
        cash=Decimal(1_000_000),
        other_exposure=sum_totals(other_exposures),
    )


def _build_limits() -> OrderLimits:
    limits = resolve_limits(LimitSubject("growth", "AAPL", "U1"), index_limits(_list_limits()))
    return limits._replace(permission=LISTED)


def _list_limits() -> list[RiskLimit]:
    """Return a limit of every kind for the tenant and for the portfolio, so that no check is skipped."""
    wide = {LimitCode.PRICE_COLLAR_PERCENT: Decimal(10), LimitCode.SHORT_SELLING: Decimal(1)}
    none = {LimitCode.STARTER_PROFILE, LimitCode.MIN_PRICE}
    places = ((LimitScope.TENANT, ""), (LimitScope.PORTFOLIO, "growth"))
    return [
        RiskLimit(scope, key, key, code, wide.get(code, _MANY))
        for code in LimitCode
        for scope, key in places
        if code not in none
    ]


def measure() -> list[ResultLine]:
    """Return the table's lines."""
    passing, denied = build_risk_input(), build_risk_input("50000")
    if evaluate_order(passing) is not None or evaluate_order(denied) is None:
        raise AssertionError("the orders are not what they are measured as")
    checks = _measure_microseconds(lambda: evaluate_order(passing))
    return [
        ResultLine(
            "the risk checks alone, every limit set", f"{checks:.1f} µs", check_at_most(checks, 50, 20)
        ),
        ResultLine(
            f"  their input: limits, {POSITIONS} positions, {ORDERS} orders",
            f"{_measure_microseconds(build_risk_input):.0f} µs",
        ),
        ResultLine(
            "  a denial with the largest quantity that passes",
            f"{_measure_microseconds(lambda: evaluate_order(denied)):.0f} µs",
        ),
        ResultLine(
            "  a preview with every check's headroom",
            f"{_measure_microseconds(lambda: list_headrooms(passing)):.0f} µs",
        ),
    ]


def _measure_microseconds(work: Callable[[], object]) -> float:
    """Return the time of a call, the best of several rounds."""
    calls = CALLS
    best = float("inf")
    for _ in range(ROUNDS):
        started = perf_counter()
        for _ in range(calls):
            work()
        elapsed = perf_counter() - started
        best = min(best, elapsed / calls)
        calls = max(20, min(CALLS, int(0.1 / best)))
    return best * 1e6


def _profile() -> None:
    passing, profile = build_risk_input(), cProfile.Profile()
    profile.enable()
    for _ in range(CALLS):
        evaluate_order(passing)
    profile.disable()
    pstats.Stats(profile).sort_stats("tottime").print_stats(20)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.risk", description=__doc__)
    parser.add_argument(
        "--profile", action="store_true", help="show where the time goes, and measure nothing"
    )
    if parser.parse_args().profile:
        _profile()
        return 0
    lines = measure()
    print_lines(lines)
    return int(any(line.outcome.startswith("MISSED") for line in lines))


if __name__ == "__main__":
    sys.exit(main())
