"""A rate of exchange: what is traded in another currency has a value in the portfolio's by it."""

from decimal import Decimal

from app.risk.rules.values import Denial, RiskInput


def check(risk: RiskInput, quantity: Decimal) -> Denial | None:  # noqa: ARG001  # as every check
    """Deny what cannot be valued in the portfolio's currency."""
    if risk.no_rate is None:
        return None
    return Denial("NO_RATE", f"There is no rate of {risk.no_rate} to value this by.", None, risk.no_rate)
