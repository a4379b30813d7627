"""Options of selects, overflows, checkboxes and radio buttons."""

from typing import Any

from simulator.blockkit.fields import ANY_TEXT, PLAIN, Check, Findings, Shape, array, string, text

MAX_OPTIONS = 100
MAX_TEXT_CHARACTERS = 75
MAX_VALUE_CHARACTERS = 150

OPTION = Shape(
    {"text": text(MAX_TEXT_CHARACTERS, PLAIN), "value": string(MAX_VALUE_CHARACTERS)},
    {"description": text(MAX_TEXT_CHARACTERS, PLAIN)},
).check
CHOICE = Shape(
    {"text": text(MAX_TEXT_CHARACTERS, ANY_TEXT), "value": string(MAX_VALUE_CHARACTERS)},
    {"description": text(MAX_TEXT_CHARACTERS, ANY_TEXT)},
).check
OVERFLOW_OPTION = Shape(
    {"text": text(MAX_TEXT_CHARACTERS, PLAIN), "value": string(MAX_VALUE_CHARACTERS)},
    {"description": text(MAX_TEXT_CHARACTERS, PLAIN), "url": string(3_000)},
).check
OPTIONS = array(OPTION, 1, MAX_OPTIONS)
OPTION_GROUPS = array(
    Shape({"label": text(MAX_TEXT_CHARACTERS, PLAIN), "options": OPTIONS}).check, 1, MAX_OPTIONS
)


def list_options(element: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the options of an element or of a response with options, including those in groups."""
    groups = [group for group in element.get("option_groups") or [] if isinstance(group, dict)]
    lists = [element.get("options") or [], *(group.get("options") or [] for group in groups)]
    return [option for part in lists if isinstance(part, list) for option in part if isinstance(option, dict)]


def options_or_groups(element: dict[str, Any], at: str, findings: Findings) -> None:
    """Check that there is exactly one of ``options`` and ``option_groups``."""
    present = [name for name in ("options", "option_groups") if name in element]
    if not present:
        findings.add(at, "missing required field: options")
    elif len(present) > 1:
        findings.add(at, "only one of options and option_groups is allowed")


def initial_among_options(element: dict[str, Any], at: str, findings: Findings) -> None:
    """Check that the initial option is one of the options."""
    options = list_options(element)
    if "initial_option" in element and element["initial_option"] not in options:
        findings.add(f"{at}/initial_option", "initial_option must match one of the options")
    initial = element.get("initial_options")
    if isinstance(initial, list) and any(option not in options for option in initial):
        findings.add(f"{at}/initial_options", "initial_options must match the options")


def values_unique(element: dict[str, Any], at: str, findings: Findings) -> None:
    """Check that no two options have the same value."""
    values = [option.get("value") for option in list_options(element)]
    if len(values) != len(set(map(str, values))):
        findings.add(at, "options must have unique values")


def check_options_response(response: Any) -> list[str]:
    """Return the errors of a response with options (at most 100 of them)."""
    findings = Findings()
    empty = isinstance(response, dict) and not response.get("options") and not response.get("option_groups")
    if empty and ("options" in response or "option_groups" in response):
        return []
    Shape({}, {"options": OPTIONS, "option_groups": OPTION_GROUPS}, (options_or_groups,)).check(
        response, "", findings
    )
    return findings.problems


RULES: tuple[Check, ...] = (initial_among_options, values_unique)
