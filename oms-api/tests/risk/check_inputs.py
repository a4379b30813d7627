"""An input of the risk checks that passes them all; tests change single values."""

from decimal import Decimal
from typing import Any

from app.risk.rules.evaluation import evaluate_order
from app.risk.rules.exposure import build_symbol_exposure, sum_totals
from app.risk.rules.limits import LimitSubject, resolve_limits
from app.risk.rules.values import (
    CandidateOrder,
    Denial,
    Prices,
    RiskInput,
    SymbolExposure,
    TradedInstrument,
    WorkingOrder,
)

DEFAULTS = resolve_limits(LimitSubject("growth", "AAPL"), {})
PRICES = Prices(Decimal(99), Decimal(101), Decimal(100))
SHARE = TradedInstrument(Decimal("0.01"), Decimal(1))


def build_order(**changes: Any) -> CandidateOrder:
    """Return a BUY of 10 at the market; amounts may be given as text."""
    amounts = {name: _parse_amount(name, value) for name, value in changes.items()}
    usual: dict[str, Any] = {"symbol": "AAPL", "side": "BUY", "type": "MARKET", "quantity": Decimal(10)}
    return CandidateOrder(**(usual | amounts))


def build_working_order(side: str, leaves: str, limit: str | None = None, **changes: Any) -> WorkingOrder:
    """Return a resting limit, or an order at the market where no limit is given."""
    price = Decimal(limit) if limit else None
    amounts = {name: _parse_amount(name, value) for name, value in changes.items()}
    return WorkingOrder(side, amounts.pop("type", "LIMIT"), Decimal(leaves), price, **amounts)


def build_risk_input(**changes: Any) -> RiskInput:
    """Return the input for `build_order`.

    `position` and `orders` make the book, `other_exposure` is a list of books, and changes of limits have the
    limits' names.
    """
    order = changes.pop("order", None) or build_order()
    prices = changes.pop("prices", PRICES)
    position = Decimal(changes.pop("position", 0))
    rate = changes.pop("rate", None)
    book = build_symbol_exposure(position, Decimal(100), changes.pop("orders", ()), prices, order, rate)
    limits = {name: changes.pop(name) for name in list(changes) if name in DEFAULTS._fields}
    fields: dict[str, Any] = {
        name: Decimal(value) if isinstance(value, str) else value for name, value in limits.items()
    }
    return RiskInput(
        order=order,
        instrument=changes.pop("instrument", SHARE),
        prices=prices,
        symbol_exposure=book,
        limits=DEFAULTS._replace(**fields),
        cash=Decimal(changes.pop("cash", 1_000_000)),
        other_exposure=sum_totals(changes.pop("other_exposure", ())),
        firm=sum_totals(changes.pop("firm", ())),
        **changes,
    )


def get_denial(situation: RiskInput) -> Denial:
    """Return why the order is denied; it has to be."""
    denial = evaluate_order(situation)
    assert denial is not None
    return denial


def build_position(quantity: str, mark: str) -> SymbolExposure:
    """Return a position in something else."""
    return SymbolExposure(Decimal(quantity), Decimal(mark))


def _parse_amount(name: str, value: Any) -> Any:
    return Decimal(value) if name.endswith(("price", "quantity")) and isinstance(value, str) else value
