"""Parse the JSON body of a control request. Errors are sentences."""

from typing import Any

from flask import request

from simulator.errors import ActError


class Body:
    """The fields of a request's JSON object."""

    def __init__(self) -> None:
        fields = request.get_json(silent=True) if request.data else {}
        if not isinstance(fields, dict):
            raise ActError("Send a JSON object.", 400)
        self.fields: dict[str, Any] = fields

    def text(self, name: str) -> str:
        """Return a required string."""
        value = self.optional_text(name)
        if value is None:
            raise ActError(f"{name} is missing.", 400)
        return value

    def optional_text(self, name: str) -> str | None:
        """Return an optional string, None if it is missing."""
        value = self.fields.get(name)
        if value is not None and not isinstance(value, str):
            raise ActError(f"{name} must be a string.", 400)
        return value or None

    def flag(self, name: str) -> bool:
        """Return a boolean, false if it is missing."""
        return bool(self.fields.get(name, False))

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """Return a number within bounds."""
        value = self.fields.get(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise ActError(f"{name} must be a number between {low:g} and {high:g}.", 400)
        return value

    def values(self) -> dict[str, dict[str, Any]]:
        """Return ``values``: by block id and action id."""
        fields_by_block = self.fields.get("values") or {}
        if not isinstance(fields_by_block, dict) or not all(
            isinstance(part, dict) for part in fields_by_block.values()
        ):
            raise ActError("values must be {block_id: {action_id: value}}.", 400)
        return fields_by_block
