"""Check the lists of instruments, sides and products that a person or an API key may trade."""

from decimal import Decimal

from app.risk.rules.permissions import find_forbidden_value
from app.risk.rules.values import EVERYTHING_ALLOWED, Denial, RiskInput


def find_denial(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny a symbol, side or product that is missing from a list that applies.

    The `identity` package refuses other portfolios before.
    """
    if risk.limits.permission is EVERYTHING_ALLOWED:
        return None
    order = risk.order
    forbidden = find_forbidden_value(risk.limits.permission, order.symbol, order.side, order.product)
    if forbidden is None:
        return None
    return Denial(
        "NOT_PERMITTED",
        f"You may not trade this {forbidden.field}: {forbidden.value}.",
        ",".join(forbidden.allowed_values),
        forbidden.value,
    )
