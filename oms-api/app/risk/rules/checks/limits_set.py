"""A live portfolio trades with limits that somebody set; a paper one takes the default profile."""

from decimal import Decimal

from app.risk.rules.values import Denial, RiskInput


def check(risk: RiskInput, quantity: Decimal) -> Denial | None:  # noqa: ARG001  # as every check
    """Deny while a limit is missing that another check needs."""
    if not risk.limits.missing:
        return None
    names = ", ".join(risk.limits.missing)
    return Denial("LIMIT_MISSING", f"A live portfolio needs these limits first: {names}.", None, names)
