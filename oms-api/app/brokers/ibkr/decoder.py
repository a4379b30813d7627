"""A decoder that reports messages that it cannot read, and lists the fields of a class of ib_async once."""

import dataclasses
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from ib_async.decoder import Decoder
from typing_extensions import override

_LOG = logging.getLogger(__name__)


class _Field(NamedTuple):
    name: str
    default: Any
    parse: Callable[[str], Any]


_PARSERS: dict[type, Callable[[str], Any]] = {
    int: int,
    float: float,
    bool: lambda text: bool(int(text)),
}


class StrictDecoder(Decoder):
    """Looks up the fields of a class once. The decoder of ib_async only logs what it cannot read."""

    def __init__(self, receiver: Any) -> None:
        super().__init__(receiver, 0)
        self._fields: dict[type, tuple[_Field, ...]] = {}
        self._receiver = receiver

    @override
    def interpret(self, fields: list[str]) -> None:
        """Call the receiver with a message. One that cannot be read is named by its number alone."""
        number = fields[0] if fields else ""
        try:
            self.handlers[int(number)](fields)
        except Exception as error:  # noqa: BLE001  # whatever is wrong with it, the others are read
            _LOG.warning("a message of TWS was not understood: %.20r, %s", number, type(error).__name__)
            self._receiver.receive_malformed(number)

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
