"""Composable checks. Each takes a value, its JSON pointer, and the findings to add to."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

Check = Callable[[Any, str, "Findings"], None]
PLAIN = ("plain_text",)
ANY_TEXT = ("plain_text", "mrkdwn")


class Findings:
    """Collects errors in Slack's wording."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def add(self, pointer: str, message: str) -> None:
        """Add an error at ``pointer``."""
        self.problems.append(f"{message} [json-pointer:{pointer or '/'}]")


@dataclass(frozen=True)
class Shape:
    """The properties of an object, and rules that span several of them."""

    required: Mapping[str, Check] = field(default_factory=dict)
    optional: Mapping[str, Check] = field(default_factory=dict)
    rules: tuple[Check, ...] = ()

    def check(self, value: Any, at: str, findings: Findings) -> None:
        """Check an object against this shape."""
        if not isinstance(value, dict):
            findings.add(at, "must be an object")
            return
        for name in self.required.keys() - value.keys():
            findings.add(at, f"missing required field: {name}")
        for name, part in value.items():
            self._check_property(name, part, at, findings)
        for rule in self.rules:
            rule(value, at, findings)

    def _check_property(self, name: str, part: Any, at: str, findings: Findings) -> None:
        check = self.required.get(name) or self.optional.get(name)
        if check is not None:
            check(part, f"{at}/{name}", findings)
        elif name != "type":
            findings.add(at, f"invalid additional property: {name}")


def string(limit: int, least: int = 1) -> Check:
    """Return a check for a string of ``least`` to ``limit`` characters."""

    def check(value: Any, at: str, findings: Findings) -> None:
        if not isinstance(value, str):
            findings.add(at, "must be a string")
        elif len(value) > limit:
            findings.add(at, f"must be less than {limit + 1} characters")
        elif len(value) < least:
            findings.add(at, f"must be more than {least - 1} characters")

    return check


def text(limit: int, kinds: Collection[str] = PLAIN) -> Check:
    """Return a check for a text object of one of ``kinds`` with at most ``limit`` characters."""
    shape = Shape({"text": string(limit)}, {"emoji": boolean, "verbatim": boolean})

    def check(value: Any, at: str, findings: Findings) -> None:
        if isinstance(value, dict) and value.get("type") not in kinds:
            findings.add(f"{at}/type", f"must be one of: {', '.join(kinds)}")
        shape.check(value, at, findings)

    return check


def boolean(value: Any, at: str, findings: Findings) -> None:
    """Check for true or false."""
    if not isinstance(value, bool):
        findings.add(at, "must be a boolean")


def anything(_value: Any, _at: str, _found: Findings) -> None:
    """Accept any value."""


def integer(low: int, high: int) -> Check:
    """Return a check for an integer within bounds."""

    def check(value: Any, at: str, findings: Findings) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            findings.add(at, "must be an integer")
        elif not low <= value <= high:
            findings.add(at, f"must be between {low} and {high}")

    return check


def one_of(*choices: str) -> Check:
    """Return a check for one of these strings."""

    def check(value: Any, at: str, findings: Findings) -> None:
        if value not in choices:
            findings.add(at, f"must be one of: {', '.join(choices)}")

    return check


def matching(pattern: str, description: str) -> Check:
    """Return a check for a string that matches ``pattern`` completely. ``description`` describes it."""
    compiled = re.compile(pattern, re.ASCII)

    def check(value: Any, at: str, findings: Findings) -> None:
        if not isinstance(value, str) or not compiled.fullmatch(value):
            findings.add(at, f"must be {description}")

    return check


def array(item: Check, low: int, high: int) -> Check:
    """Return a check for a list of ``low`` to ``high`` items."""

    def check(value: Any, at: str, findings: Findings) -> None:
        if not isinstance(value, list):
            findings.add(at, "must be an array")
            return
        if len(value) > high:
            findings.add(at, f"no more than {high} items allowed")
        if len(value) < low:
            findings.add(at, f"no fewer than {low} items allowed")
        for index, part in enumerate(value):
            item(part, f"{at}/{index}", findings)

    return check


CONFIRM = Shape(
    {"title": text(100), "text": text(300, ANY_TEXT), "confirm": text(30), "deny": text(30)},
    {"style": one_of("primary", "danger")},
).check
ACTION_ID = string(255)
PLACEHOLDER = text(150)
