"""Check that a live portfolio has all required limits. A paper portfolio uses the default profile."""

from decimal import Decimal

from app.risk.rules.values import Denial, RiskInput


def find_denial(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny while a required limit is missing."""
    if not risk.limits.missing:
        return None
    names = ", ".join(risk.limits.missing)
    return Denial("LIMIT_MISSING", f"A live portfolio needs these limits first: {names}.", None, names)
