"""The stored form of the positions in other currencies at a close."""

from collections.abc import Mapping
from decimal import Decimal

import orjson

from app.ledger.rules.equity import CurrencyValue
from app.money import format_fixed, format_optional_fixed


def format_currencies(values: Mapping[str, CurrencyValue]) -> str:
    """Return the JSON text of values by currency."""
    fields = {
        currency: [
            format_fixed(currency_value.local),
            format_fixed(currency_value.value),
            format_optional_fixed(currency_value.rate),
        ]
        for currency, currency_value in sorted(values.items())
    }
    return orjson.dumps(fields).decode()


def parse_currencies(text: str | None) -> dict[str, CurrencyValue]:
    """Return the values by currency of a stored text. Without a text there are none."""
    if text is None:
        return {}
    return {
        currency: CurrencyValue(Decimal(local), Decimal(value), None if rate is None else Decimal(rate))
        for currency, (local, value, rate) in orjson.loads(text).items()
    }
