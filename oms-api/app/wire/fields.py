"""Types of fields: exact amounts, cleaned text."""

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from app.money import DIGITS, PLACES, amount_error, parse_plain
from app.wire.json import JsonNumber

JSON_NUMBER_DIGITS = 15  # what every JSON library carries through a binary float unharmed
_AMOUNT_PATTERN = rf"^[0-9]{{1,{DIGITS - PLACES}}}(\.[0-9]{{1,{PLACES}}})?$"
_PADDING = re.compile(r"^-?0*\.?0*|\.")


def exact_amount(value: Any) -> Decimal:  # whatever JSON held
    """Return the amount that a JSON string or number writes plainly; a pydantic error says what else to
    send.
    """
    if isinstance(value, Decimal):
        return value
    if isinstance(value, JsonNumber):
        return _from_number(value.text)
    if not isinstance(value, str):
        raise PydanticCustomError("amount", "Must be a decimal number, as a string or a JSON number.")
    amount = parse_plain(value) if not value.startswith("-") else None
    if amount is None:
        message = (
            "Must be written plainly with the digits 0-9 and at most one point, without sign or exponent."
        )
        raise PydanticCustomError("amount", message)
    return amount


def _from_number(text: str) -> Decimal:
    amount = parse_plain(text) if not text.startswith("-") else None
    if amount is None:
        message = "Must be a plain decimal number, without sign or exponent: send it as a string."
        raise PydanticCustomError("amount", message)
    if len(_PADDING.sub("", text)) > JSON_NUMBER_DIGITS:
        message = (
            f"More than {JSON_NUMBER_DIGITS} digits do not survive as a JSON number: send it as a string."
        )
        raise PydanticCustomError("amount", message)
    return amount


def amount_schema(*, zero: bool = False) -> dict[str, Any]:
    """Return what the OpenAPI document says of an amount; a JSON number of 15 digits stays below 10^15."""
    least = {"minimum": 0} if zero else {"exclusiveMinimum": 0}
    number = {"type": "number", **least, "exclusiveMaximum": 10**JSON_NUMBER_DIGITS}
    return {"anyOf": [{"type": "string", "pattern": _AMOUNT_PATTERN}, number]}


Amount = Annotated[
    Decimal,
    BeforeValidator(exact_amount),
    WithJsonSchema(amount_schema(), mode="validation"),
    WithJsonSchema({"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}, mode="serialization"),
    PlainSerializer(str),
]


def _positive(amount: Any) -> Any:  # pydantic hands it through
    message = amount_error(amount)
    if message:
        raise PydanticCustomError("amount", "{message}", {"message": message})
    return amount


PositiveAmount = Annotated[Amount, AfterValidator(_positive)]
