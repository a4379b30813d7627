"""Field types: exact amounts, whole numbers and normalized text."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from app.http.json import JsonNumber
from app.money import DIGITS, PLACES, find_amount_error, is_storable, parse_plain
from app.text import clean_name as visible_name
from app.text import clean_text, label_key

MAX_OPENING_CASH = 10**12
JSON_NUMBER_DIGITS = 15  # digits that a binary float keeps exactly in every JSON library
_AMOUNT_PATTERN = rf"^[0-9]{{1,{DIGITS - PLACES}}}(\.[0-9]{{1,{PLACES}}})?$"
_WHOLE_NUMBER_PATTERN = re.compile(r"[0-9]{1,18}", re.ASCII)
_PADDING_PATTERN = re.compile(r"^-?0*\.?0*|\.")


def to_upper_case(value: object) -> object:
    """Return text in capitals, for case-insensitive words, and other values unchanged."""
    return value.upper() if isinstance(value, str) else value


def to_lower_case(value: object) -> object:
    """Return text in lower case, and other values unchanged."""
    return value.lower() if isinstance(value, str) else value


Side = Annotated[Literal["BUY", "SELL"], BeforeValidator(to_upper_case)]


def parse_amount(value: Any) -> Decimal:  # any JSON value
    """Parse an amount from a JSON string or number. A pydantic error states what to send instead."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, JsonNumber):
        return _parse_json_number(value.text)
    if not isinstance(value, str):
        raise PydanticCustomError("amount", "Must be a decimal number, as a string or a JSON number.")
    amount = _parse_unsigned(value)
    if amount is None:
        message = (
            "Must be written plainly with the digits 0-9 and at most one point, without sign or exponent."
        )
        raise PydanticCustomError("amount", message)
    return amount


def _parse_unsigned(text: str) -> Decimal | None:
    """Parse a plain number. Raises a separate error for a negative one, and return None for other text."""
    amount = parse_plain(text)
    if amount is not None and text.startswith("-"):
        raise PydanticCustomError("amount", "Must not be negative.")
    return amount


def _parse_json_number(text: str) -> Decimal:
    amount = _parse_unsigned(text)
    if amount is None:
        message = "Must be a plain decimal number, without sign or exponent: send it as a string."
        raise PydanticCustomError("amount", message)
    if len(_PADDING_PATTERN.sub("", text)) > JSON_NUMBER_DIGITS:
        message = f"A JSON number has at most {JSON_NUMBER_DIGITS} exact digits; send a string."
        raise PydanticCustomError("amount", message)
    return amount


def build_amount_schema(*, zero: bool = False) -> dict[str, Any]:
    """Return the JSON schema of an amount. A JSON number of 15 digits stays below 10^15."""
    least = {"minimum": 0} if zero else {"exclusiveMinimum": 0}
    number = {"type": "number", **least, "exclusiveMaximum": 10**JSON_NUMBER_DIGITS}
    return {"anyOf": [{"type": "string", "pattern": _AMOUNT_PATTERN}, number]}


Amount = Annotated[
    Decimal,
    BeforeValidator(parse_amount),
    WithJsonSchema(build_amount_schema(), mode="validation"),
    WithJsonSchema({"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$"}, mode="serialization"),
    PlainSerializer(str),
]


def _require_positive(amount: Any) -> Any:  # pydantic passes any type
    message = find_amount_error(amount)
    if message:
        raise PydanticCustomError("amount", "{message}", {"message": message})
    return amount


def _check_negative(value: Any) -> Any:  # any JSON value
    text = value.text if isinstance(value, JsonNumber) else value
    amount = parse_plain(text) if isinstance(text, str) and text.startswith("-") else None
    if amount is not None:
        _require_positive(amount)
    return value


PositiveAmount = Annotated[Amount, BeforeValidator(_check_negative), AfterValidator(_require_positive)]


def require_storable(amount: Decimal) -> Decimal:
    """Return the amount. Raises a pydantic error if the database cannot store it exactly."""
    if not is_storable(amount):
        raise PydanticCustomError("amount", "At most 8 decimals, and 16 digits before the point.")
    return amount


def _parse_signed(value: Any) -> Decimal:  # any JSON value
    text = value.text if isinstance(value, JsonNumber) else value
    if not isinstance(text, str) or not text.startswith("-"):
        return parse_amount(value)
    return -parse_amount(JsonNumber(text[1:]) if isinstance(value, JsonNumber) else text[1:])


_SIGNED_SCHEMA = {
    "anyOf": [{"type": "string", "pattern": r"^-?[0-9]{1,16}(\.[0-9]{1,8})?$"}, {"type": "number"}]
}
SignedAmount = Annotated[  # an amount that may be negative
    Decimal, BeforeValidator(_parse_signed), AfterValidator(require_storable), WithJsonSchema(_SIGNED_SCHEMA)
]


def _require_opening_cash(amount: Decimal) -> Decimal:
    if amount > MAX_OPENING_CASH or not is_storable(amount):
        message = "At most {most}, with at most 8 decimals."
        raise PydanticCustomError("amount", message, {"most": f"{MAX_OPENING_CASH:,}"})
    return amount


OpeningCash = Annotated[
    Amount, AfterValidator(_require_opening_cash),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,8})?$"},
                {"type": "number", "minimum": 0, "maximum": MAX_OPENING_CASH},
            ],
        }
    ),
]  # fmt: skip


def clean(value: str) -> str:
    """Return the text trimmed and in NFC. A pydantic error names the forbidden characters."""
    text = clean_text(value)
    if text is None:
        raise PydanticCustomError("text", "Must not contain control, formatting or unpaired characters.")
    return text


def clean_name(value: str) -> str:
    """Return the name trimmed and in NFC. A pydantic error rejects invisible characters."""
    name = visible_name(clean(value))
    if name is None:
        raise PydanticCustomError("text", "Must not contain invisible characters.")
    return name


def clean_label(value: str) -> str:
    """Return the label like `clean_name`, with single spaces, plain quotes and plain dashes."""
    return label_key(clean_name(value))


def check_length(length: int) -> Callable[[str], str]:
    """Return a check of the length after normalization: NFC may be longer than the input."""

    def check(value: str) -> str:
        if len(value) > length:
            raise PydanticCustomError("string_too_long", "At most {length} characters.", {"length": length})
        return value

    return check


def parse_whole_number(value: Any) -> int:  # any JSON value
    """Parse a whole number from a plain JSON number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, JsonNumber) or not _WHOLE_NUMBER_PATTERN.fullmatch(value.text):
        raise PydanticCustomError("whole_number", "Must be a whole number, as a JSON number.")
    return int(value.text)


WholeNumber = Annotated[int, BeforeValidator(parse_whole_number)]
SearchText = Annotated[str, Field(max_length=400), AfterValidator(clean)]  # a search text of a path or query
