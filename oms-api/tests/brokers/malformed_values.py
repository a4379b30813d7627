"""Values that a broker's JSON must not have, in the place of each field of a message."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from app.brokers.rules.order_reports import MalformedResponse

VALUES: tuple[Any, ...] = (
    *(None, True, [], {}, "", "x", "a\x00b", "\ud800", "x" * 500, -1, 0, 10**400),
    *("NaN", "Infinity", "1e400", "1e999999999", "-5", "9" * 5000, float("nan")),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"),
)


def list_distortions(message: Mapping[str, Any]) -> Iterator[Any]:
    """Return each value in the place of the message, and of each of its fields."""
    for value in VALUES:
        yield value
        for name in message:
            yield {**message, name: value}


def find_escapes(parse: Callable[[Any], object], message: Mapping[str, Any]) -> list[str]:
    """Return the errors other than MalformedResponse that a distorted message raises."""
    escapes = []
    for distorted in list_distortions(message):
        try:
            parse(distorted)
        except MalformedResponse:
            continue
        except Exception as error:  # noqa: BLE001  # each is a failure of the parser
            escapes.append(f"{type(error).__name__}: {distorted!r:.200}")
    return escapes
