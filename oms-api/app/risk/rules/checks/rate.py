"""Check that there is an exchange rate to value the order in the portfolio's currency."""

from decimal import Decimal

from app.risk.rules.values import Denial, RiskInput


def find_denial(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny an order whose exchange rate is missing."""
    if risk.no_rate is None:
        return None
    return Denial(
        "NO_RATE",
        f"There is no rate of {risk.no_rate} to value the order; publish a quote of it.",
        None,
        risk.no_rate,
    )
