"""Settings as JSON values, and back. The process of a sandboxed strategy gets them so."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from app.backtests.rules.settings import BacktestSettings

_MICROSECOND = timedelta(microseconds=1)


def serialize_settings(settings: BacktestSettings) -> list[Any]:
    """Return the settings as JSON values."""
    fields: list[Any] = _serialize_value(settings)
    return fields


def parse_settings(fields: list[Any]) -> BacktestSettings:
    """Return the settings that `serialize_settings` was given."""
    settings: BacktestSettings = _parse_value(BacktestSettings, fields)
    return settings


def _serialize_value(value: Any) -> Any:
    match value:
        case Decimal():
            return str(value)
        case timedelta():
            return value // _MICROSECOND
        case date():
            return value.isoformat()
        case Mapping():
            return {str(key): _serialize_value(item) for key, item in value.items()}
        case tuple():
            return [_serialize_value(item) for item in value]
        case _:
            return value


def _parse_value(kind: Any, value: Any) -> Any:
    if get_origin(kind) is UnionType:  # a type or None
        return None if value is None else _parse_value(get_args(kind)[0], value)
    if get_origin(kind) is Mapping:
        key_kind, value_kind = get_args(kind)
        return {key_kind(key): _parse_value(value_kind, item) for key, item in value.items()}
    if get_origin(kind) is tuple:  # of any length
        return tuple(_parse_value(get_args(kind)[0], item) for item in value)
    if not isinstance(kind, type) or not issubclass(kind, tuple | Decimal | StrEnum):
        return _parse_plain(kind, value)
    if issubclass(kind, tuple):
        hints = get_type_hints(kind).values()
        return kind(*(_parse_value(hint, item) for hint, item in zip(hints, value, strict=True)))
    return kind(value)


def _parse_plain(kind: Any, value: Any) -> Any:
    if kind is timedelta:
        return value * _MICROSECOND
    return date.fromisoformat(value) if kind is date else value
