"""What this person or key may trade."""

from decimal import Decimal

from app.risk.rules.values import EVERYTHING, Denial, RiskInput


def check(risk: RiskInput, quantity: Decimal) -> Denial | None:  # noqa: ARG001  # as every check
    """Deny a portfolio, symbol, side or product that the caller was not given."""
    if risk.permission is EVERYTHING:
        return None
    allowed, order = risk.permission, risk.order
    asked = (risk.portfolio_key, order.symbol, order.side, order.product)
    for what, granted, one in zip(("portfolio", "symbol", "side", "product"), allowed, asked, strict=True):
        if granted is not None and one not in granted:
            return Denial("NOT_PERMITTED", f"You may not trade this {what}: {one}.", None, one)
    return None
