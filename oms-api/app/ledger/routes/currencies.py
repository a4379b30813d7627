"""The field type of a currency code."""

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from app.http.fields import to_upper_case
from app.ledger.rules.currencies import CURRENCIES


def _require_known_currency(value: str) -> str:
    if value not in CURRENCIES:
        raise PydanticCustomError("currency", "Must be a currency code of ISO 4217, such as USD.")
    return value


KnownCurrency = Annotated[
    str, BeforeValidator(to_upper_case), Field(pattern="^[A-Z]{3}$"), AfterValidator(_require_known_currency)
]
