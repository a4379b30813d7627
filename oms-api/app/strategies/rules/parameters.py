"""Parameters of strategies by their descriptions, so that values are checked without the strategy's code."""

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from app.strategies.errors import build_field_error
from slackoms_strategy import (
    BooleanParameter,
    DecimalParameter,
    IntegerParameter,
    InvalidParameter,
    ParameterDescription,
    TextParameter,
)
from slackoms_strategy.parameters import Parameter
from slackoms_strategy.parameters import parse_parameters as parse_values

MAX_PARAMETERS = 100
_KINDS: Mapping[str, type[Parameter[Any]]] = {
    kind.type_name: kind for kind in (IntegerParameter, DecimalParameter, BooleanParameter, TextParameter)
}
_FLAG_BY_TEXT = {"True": True, "False": False}


def build_parameters(descriptions: Sequence[ParameterDescription]) -> type:
    """Return a class that declares these parameters. Raises ValueError if a description is wrong."""
    if len(descriptions) > MAX_PARAMETERS:
        raise ValueError(f"it has more than {MAX_PARAMETERS} parameters")
    declared: dict[str, Parameter[Any]] = {}
    for description in descriptions:
        name = description.name
        if description.type not in _KINDS or not name.isidentifier() or name.startswith("_"):
            raise ValueError(f"its parameter {description.name!r} is none of slackoms_strategy")
        try:
            declared[description.name] = _build_parameter(description)
        except (ArithmeticError, ValueError, KeyError):
            raise ValueError(f"its parameter {description.name!r} has a wrong default or range") from None
    return type("Parameters", (), declared)


def parse_parameters(
    descriptions: Sequence[ParameterDescription], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return all values of a strategy's parameters. Raises Invalid with the field of a wrong one."""
    try:
        return parse_values(build_parameters(descriptions), values)
    except InvalidParameter as error:
        raise build_field_error(f"parameters.{error.name}", str(error), "out_of_range") from None


def serialize_parameters(values: Mapping[str, Any]) -> str:
    """Return parameters as canonical JSON: whole numbers, texts and booleans as they are, others as text."""
    plain = {name: value if isinstance(value, bool | int) else str(value) for name, value in values.items()}
    return orjson.dumps(plain, option=orjson.OPT_SORT_KEYS).decode()


def describe_parameters(descriptions: Sequence[ParameterDescription]) -> list[dict[str, Any]]:
    """Return the fields that a form shows for each parameter: type, default, range and description."""
    return [{**description._asdict(), "choices": list(description.choices)} for description in descriptions]


def _build_parameter(description: ParameterDescription) -> Parameter[Any]:
    kind = _KINDS[description.type]
    if kind is DecimalParameter:
        bounds = [_parse_decimal(bound) for bound in (description.minimum, description.maximum)]
        return DecimalParameter(
            description.default, description.description, minimum=bounds[0], maximum=bounds[1]
        )
    convert: Any = {IntegerParameter: int, BooleanParameter: _FLAG_BY_TEXT.__getitem__}.get(kind, str)
    low, high = (
        None if bound is None else convert(bound) for bound in (description.minimum, description.maximum)
    )
    choices = tuple(map(convert, description.choices))
    return kind(
        convert(description.default), description.description, minimum=low, maximum=high, choices=choices
    )


def _parse_decimal(text: str | None) -> str | None:
    if text is not None and not Decimal(text).is_finite():
        raise InvalidOperation(text)
    return text
