"""What this person or key may trade."""

from decimal import Decimal

from app.risk.rules.permissions import refusal
from app.risk.rules.values import EVERYTHING, Denial, RiskInput


def check(risk: RiskInput, quantity: Decimal) -> Denial | None:  # noqa: ARG001  # as every check
    """Deny a symbol, side or product that is not on every list that holds for the order. (Portfolios that are
    not the caller's are refused before: see `identity`.)
    """
    if risk.limits.permission is EVERYTHING:
        return None
    order = risk.order
    refused = refusal(risk.limits.permission, order.symbol, order.side, order.product)
    if refused is None:
        return None
    what, asked, granted = refused
    return Denial("NOT_PERMITTED", f"You may not trade this {what}: {asked}.", ",".join(granted), asked)
