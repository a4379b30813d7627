"""A decoder that parses faster than that of ib_async, which lists the fields of an order each time."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

from ib_async.decoder import Decoder
from typing_extensions import override


class _Field(NamedTuple):
    name: str
    default: Any
    parse: Callable[[str], Any]


_PARSERS: dict[type, Callable[[str], Any]] = {
    int: int,
    float: float,
    bool: lambda text: bool(int(text)),
}


class FieldCachingDecoder(Decoder):
    """Looks up the fields of a class once."""

    def __init__(self, receiver: Any) -> None:
        super().__init__(receiver, 0)
        self._fields: dict[type, tuple[_Field, ...]] = {}

    @override
    def parse(self, obj: Any) -> None:
        """Parse the properties of a record by the types of their defaults."""
        kind = type(obj)
        if kind not in self._fields:
            self._fields[kind] = _list_fields(kind)
        for name, default, parse in self._fields[kind]:
            text = getattr(obj, name)
            setattr(obj, name, parse(text) if text else default)


def _list_fields(kind: Any) -> tuple[_Field, ...]:
    """Return the fields that are not text."""
    return tuple(
        _Field(field.name, field.default, _PARSERS[type(field.default)])
        for field in dataclasses.fields(kind)
        if type(field.default) in _PARSERS
    )
