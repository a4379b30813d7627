"""The content of an audit entry: actor, action, target, client, and the values before and after."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson

AuditValues = dict[str, Any]  # JSON values without fractions: amounts are text

MAX_VALUES_LENGTH = 20_000  # in characters
_MAX_LENGTHS = {"actor": 300, "via": 100, "action": 60, "target": 400, "address": 60, "request_id": 100}
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", re.ASCII)
_SECRET_WORD = re.compile(
    r".*(?:password|passphrase|secret|token|credential|signature|cookie).*|.*keys?|.*hash(?:es)?", re.ASCII
)
# allowed name parts: key_id and password_changed_at reveal nothing
_ALLOWED_NAME_PARTS = {"id", "ids", "at", "name", "names"}
_PLACEHOLDER = "…"  # replaces text that looks like a secret
_SECRET_VALUE = re.compile(r"oms_[0-9A-Za-z_-]{30}|eyJ[0-9A-Za-z_-]+\.eyJ|\$argon2|-----BEGIN ", re.ASCII)


class InvalidAuditValues(ValueError):
    """Raised when the values contain a secret or are too long, which is a defect of the calling code."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One action. `actor` is the person or key, `via` the way of access. `at` is timezone-aware, in UTC.

    `before` and `after` are the changed values. Raises InvalidAuditValues if they contain a secret.
    """

    tenant_id: int
    at: datetime
    actor: str
    via: str
    action: str
    target: str
    address: str | None = None
    request_id: str | None = None
    before: AuditValues | None = None
    after: AuditValues | None = None

    def __post_init__(self) -> None:
        for fields in (self.before, self.after):
            serialize_values(fields)


def serialize_values(values: AuditValues | None) -> str | None:
    """Check the values, and return them as canonical JSON: sorted names, no spaces.

    Raises InvalidAuditValues.
    """
    if values is None:
        return None
    for path, value in _iterate_leaves(values, ""):
        _check_leaf(path, value)
    try:
        text = orjson.dumps(values, option=orjson.OPT_SORT_KEYS).decode()
    except TypeError as error:  # an unpaired surrogate, or a number beyond 64 bits
        raise InvalidAuditValues(f"The values are not JSON: {error}.") from None
    if len(text) > MAX_VALUES_LENGTH:
        raise InvalidAuditValues(
            f"The values take {len(text):,} characters, more than {MAX_VALUES_LENGTH:,}."
        )
    return text


def mask_secrets(values: AuditValues) -> AuditValues:
    """Return the values with a placeholder for each text that looks like a secret.

    The action is thus still recorded.
    """
    return {
        name: _PLACEHOLDER if isinstance(value, str) and _SECRET_VALUE.search(value) else value
        for name, value in values.items()
    }


def truncate_entry(entry: AuditEntry) -> AuditEntry:
    """Return the entry with printable texts, cut to the length of their columns."""
    changed: dict[str, Any] = {
        name: _truncate(text, max_length)
        for name, max_length in _MAX_LENGTHS.items()
        if (text := getattr(entry, name)) and (len(text) > max_length or not text.isprintable())
    }
    return replace(entry, **changed) if changed else entry


def _truncate(text: str, max_length: int) -> str:
    """Return `text` with placeholders for unprintable characters and for the part beyond `max_length`."""
    printable = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for character in text[: max_length + 1]
    )
    return printable if len(printable) <= max_length else printable[: max_length - 1] + "…"


def _check_leaf(path: str, value: object) -> None:
    if not isinstance(value, str | int | None):  # bool is a subclass of int
        kind = type(value).__name__
        raise InvalidAuditValues(
            f"{path} is a {kind}; the audit log stores text, whole numbers, true, false and null."
        )
    if isinstance(value, str) and _SECRET_VALUE.search(value):
        raise InvalidAuditValues(f"{path} contains text that looks like a secret.")


def _iterate_leaves(value: Any, path: str) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _iterate_leaves(inner, _join_path(path, name))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _iterate_leaves(inner, f"{path}[{index}]")
    else:
        yield path, value


def _join_path(path: str, name: object) -> str:
    if not isinstance(name, str):
        raise InvalidAuditValues(f"{name!r} is not a name: names are text.")
    if _is_secret_name(name):
        raise InvalidAuditValues(f"{name!r} is the name of a secret.")
    return f"{path}.{name}" if path else name


def _is_secret_name(name: str) -> bool:
    name_parts = [word.lower() for word in _WORD.findall(name)]
    if not name_parts or name_parts[-1] in _ALLOWED_NAME_PARTS:
        return False
    return any(map(_SECRET_WORD.fullmatch, name_parts))
