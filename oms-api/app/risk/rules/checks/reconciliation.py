"""Check the comparison with the broker: its critical issues stop orders that open positions."""

from decimal import Decimal

from app.money import format_grouped_amount
from app.risk.rules.exposure import get_reducible_quantity
from app.risk.rules.values import Denial, RiskInput


def find_denial(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny an order that does not reduce a position while the books and the broker's differ critically."""
    if not risk.critical_issues:
        return None
    reducible_quantity = get_reducible_quantity(risk.symbol_exposure, risk.order.side)
    if quantity <= reducible_quantity:
        return None
    sentence = (
        "The positions differ from those at the broker: only orders that reduce a position pass, and "
        f"{format_grouped_amount(reducible_quantity)} can be reduced."
    )
    return Denial("RECONCILIATION_BREAK", sentence, reducible_quantity, quantity)
