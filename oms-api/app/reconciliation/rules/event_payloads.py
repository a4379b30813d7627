"""The data of the events about issues."""

from typing import Any, Protocol

import orjson

_PAYLOAD_FIELDS = {
    "issue_id": "id",
    "issue_type": "type",
    "severity": "severity",
    "portfolio_name": "portfolio_name",
    "connection": "connection",
    "status": "status",
    "symbol": "symbol",
    "order_id": "order_id",
    "ours": "ours",
    "theirs": "theirs",
    "owned_by": "owner",
    "action": "action",
    "reason": "reason",
    "resolved_by": "resolved_by",
}  # by the name in an event


class SerializableIssue(Protocol):
    """An issue; see `queries.Issue`."""

    def _asdict(self) -> dict[str, Any]: ...


def build_issue_payload(issue: SerializableIssue, proposed_action: str) -> str:
    """Return the data of an event as JSON. Fields that do not apply are left out."""
    values = issue._asdict()
    payload = {name: values[column] for name, column in _PAYLOAD_FIELDS.items() if values[column] is not None}
    return orjson.dumps(payload | {"proposed_action": proposed_action}).decode()
