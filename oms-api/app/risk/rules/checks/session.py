"""Check that the trading session is open, or that the order may wait for it."""

from decimal import Decimal

from app.risk.rules.values import Denial, RiskInput


def check(risk: RiskInput, quantity: Decimal) -> Denial | None:  # noqa: ARG001  # as every check
    """Deny while the market is closed. `closed_until` is when it opens."""
    if risk.closed_until is None:
        return None
    return Denial("SESSION_CLOSED", f"The market is closed until {risk.closed_until}.", risk.closed_until)
