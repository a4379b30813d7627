"""Check for an accidentally repeated order."""

from decimal import Decimal

from app.risk.rules.values import Denial, RiskInput


def find_denial(risk: RiskInput, quantity: Decimal) -> Denial | None:
    """Deny a person's identical order within the limit's seconds unless it is confirmed.

    API keys without a person may repeat orders.
    """
    seconds, age = risk.limits.repeat_order_seconds, risk.same_order_seconds
    if not risk.is_person or risk.confirm_repeat or age is None or age >= seconds:
        return None
    sentence = f"You sent the same order {age:.1f} s ago; send it with `confirm_repeat` if you mean it."
    return Denial("REPEAT_ORDER", sentence, seconds, age)
