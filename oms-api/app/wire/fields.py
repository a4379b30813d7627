"""Types of fields: exact amounts, whole numbers, cleaned text."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from app.money import DIGITS, PLACES, amount_error, parse_plain
from app.text import clean_name as visible_name
from app.text import clean_text, label_key
from app.wire.json import JsonNumber

JSON_NUMBER_DIGITS = 15  # what every JSON library carries through a binary float unharmed
_AMOUNT_PATTERN = rf"^[0-9]{{1,{DIGITS - PLACES}}}(\.[0-9]{{1,{PLACES}}})?$"
_WHOLE = re.compile(r"[0-9]{1,18}", re.ASCII)
_PADDING = re.compile(r"^-?0*\.?0*|\.")


def capitals(value: object) -> object:
    """Return text in capitals, for words that mean the same in any case, and anything else as it is."""
    return value.upper() if isinstance(value, str) else value


def lower_case(value: object) -> object:
    """Return text in lower case, and anything else as it is."""
    return value.lower() if isinstance(value, str) else value


Side = Annotated[Literal["BUY", "SELL"], BeforeValidator(capitals)]


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
    amount = _unsigned(value)
    if amount is None:
        message = (
            "Must be written plainly with the digits 0-9 and at most one point, without sign or exponent."
        )
        raise PydanticCustomError("amount", message)
    return amount


def _unsigned(text: str) -> Decimal | None:
    """Return the number, or None where it is not written plainly. A negative one is told that it is."""
    amount = parse_plain(text)
    if amount is not None and text.startswith("-"):
        raise PydanticCustomError("amount", "Must not be negative.")
    return amount


def _from_number(text: str) -> Decimal:
    amount = _unsigned(text)
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


def _not_negative(value: Any) -> Any:  # whatever JSON held
    text = value.text if isinstance(value, JsonNumber) else value
    amount = parse_plain(text) if isinstance(text, str) and text.startswith("-") else None
    if amount is not None:
        _positive(amount)
    return value


PositiveAmount = Annotated[Amount, BeforeValidator(_not_negative), AfterValidator(_positive)]


def clean(value: str) -> str:
    """Return the text trimmed and in NFC; a pydantic error tells what it must not hold."""
    text = clean_text(value)
    if text is None:
        raise PydanticCustomError("text", "Must not hold control, formatting or unpaired characters.")
    return text


def clean_name(value: str) -> str:
    """Return the name trimmed and in NFC; a pydantic error says that it must not hold what nobody sees."""
    name = visible_name(clean(value))
    if name is None:
        raise PydanticCustomError("text", "Must not hold invisible characters.")
    return name


def clean_label(value: str) -> str:
    """Return the label as `clean_name` does, with single spaces, plain quotes and plain dashes."""
    return label_key(clean_name(value))


def at_most(length: int) -> Callable[[str], str]:
    """Return the check that cleaned text is no longer: NFC may be longer than what was sent."""

    def check(value: str) -> str:
        if len(value) > length:
            raise PydanticCustomError("string_too_long", "At most {length} characters.", {"length": length})
        return value

    return check


def whole_number(value: Any) -> int:  # whatever JSON held
    """Return the whole number that a JSON number writes plainly."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, JsonNumber) or not _WHOLE.fullmatch(value.text):
        raise PydanticCustomError("whole_number", "Must be a whole number, as a JSON number.")
    return int(value.text)


WholeNumber = Annotated[int, BeforeValidator(whole_number)]
Wanted = Annotated[str, Field(max_length=400), AfterValidator(clean)]  # what a path or query looks for
