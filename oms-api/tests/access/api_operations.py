"""Call every operation of the OpenAPI document as every kind of caller."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, event, text

from app.database import unit_of_work
from app.identity.rules.access import Role
from app.timestamps import format_timestamp
from tests.factories import NOON
from tests.support.service import ApiClient, Service

OPEN = {"/health", "/health/live", "/health/ready"}
UNGUARDED = {
    "/api/v1/auth/login",
    "/api/v1/auth/refresh",
    "/api/v1/signals/hook/{token}",
}  # they are how one comes in
METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Call:
    """An operation: its request, and its description in the OpenAPI document."""

    method: str
    path: str
    definition: dict[str, Any]

    @property
    def name(self) -> str:
        """The name of the operation in tests."""
        return f"{self.method.upper()} {self.path.removeprefix('/api/v1')}"

    @property
    def parameters(self) -> list[str]:
        """The names of its path's parameters."""
        return [part[1:].partition("}")[0] for part in self.path.split("/") if part.startswith("{")]

    def build_path(self, *values: str) -> str:
        """Return the path with its parameters filled in, in order."""
        parts, next_values = [], iter(values)
        for part in self.path.split("/"):
            head, brace, tail = part.partition("{")
            parts.append(f"{head}{next(next_values)}{tail.partition('}')[2]}" if brace else part)
        return "/".join(parts)


def list_guarded_operations(document: dict[str, Any]) -> list[Call]:
    """Return the operations that ask who is calling."""
    calls = [
        Call(method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]
    guarded = [call for call in calls if call.path not in UNGUARDED]
    return [call for call in guarded if call.path.removeprefix("/api/v1") not in OPEN]


class Members:
    """A tenant with a person of each role, spoken for by the bot's key."""

    def __init__(self, service: Service, api: ApiClient) -> None:
        self.service, self.api = service, api
        self.team = f"T0DESK{api.tenant_id}"  # in no time, unlike T20
        self.key = service.create_key("admin", api.tenant_id)
        with unit_of_work(service.engine) as connection:
            at = {"at": format_timestamp(NOON), "tenant": api.tenant_id}
            workspace = (
                "INSERT INTO slack_workspaces (team_id, tenant_id, bound_at) VALUES (:team, :tenant, :at)"
            )
            connection.execute(text(workspace), {"team": self.team, **at})
            for role in Role:
                person = (
                    "INSERT INTO users (tenant_id, person, name, role, created_at, updated_at) "
                    "VALUES (:tenant, :person, :person, :role, :at, :at)"
                )
                connection.execute(text(person), {"person": self.person(role), "role": role.value, **at})

    def person(self, role: Role) -> str:
        """Return the name of the person with that role."""
        return f"slack:{self.team}:U{role.value.upper()}"

    def headers(self, role: Role) -> dict[str, str]:
        """Return the headers that the bot sends for that person."""
        return {"X-API-Key": self.key, "X-On-Behalf-Of": self.person(role)}


def send_call(service: Service, call: Call, path: str, headers: dict[str, str], body: object = None) -> Any:
    """Call an operation; where it takes a body and none is given, with an empty object."""
    sent = {"Last-Event-ID": "none-of-that", **headers}  # a stream that began would not end
    content = None
    if "requestBody" in call.definition:
        sent["Content-Type"] = "application/json"
        content = json.dumps({} if body is None else body).encode()
    return service.client.request(call.method.upper(), path, headers=sent, content=content)


class Work:
    """The statements that run while the block lasts, but for those of the audit log's own thread."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def __enter__(self) -> "Work":
        event.listen(Engine, "before_cursor_execute", self._build_note)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(Engine, "before_cursor_execute", self._build_note)

    def _build_note(self, *arguments: Any) -> None:
        statement = str(arguments[2])
        excluded_words = (  # of separate threads
            *("BEGIN", "audit_", "last_used_at", "alerts.updated_at >=", "signals.received_at <"),
            "SELECT market_data_subscriptions.tenant_id",
        )
        is_of_all = statement.endswith("SELECT id FROM tenants")  # only background jobs read all tenants
        if not is_of_all and not any(word in statement for word in excluded_words):
            self.statements.append(statement.partition("; ")[2] or statement)
