"""Verifies tenants, users, keys, sessions and workspaces against the audit log."""

from collections.abc import Hashable, Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.audit.queries.entries import list_actions
from app.audit.rules.actions import ActionDifference, find_differences
from app.identity.queries.audit import iterate_rows
from app.identity.rules.verification import AuditValues, ExpectedRows
from app.identity.service.sessions import RETENTION_AFTER_END
from app.money import format_money
from app.timestamps import format_timestamp

_ACTIONS = ("tenant.", "user.", "key.", "login.", "session.", "password.", "workspace.")
_RENAMED = "portfolio.renamed"


def verify_identities(connection: Connection) -> Iterator[ActionDifference]:
    """Yield each row that differs from the audit log. Skip rows that the log does not mention."""
    tenants = {row["id"]: row for row in iterate_rows(connection, "tenants")}
    for row in tenants.values():
        row["default_opening_cash"] = format_money(row["default_opening_cash"])
    expected = ExpectedRows({tenant_id: row["slug"] for tenant_id, row in tenants.items()})
    expected.apply(list_actions(connection, *_ACTIONS, _RENAMED))
    users = {(row["tenant_id"], row["id"]): row for row in iterate_rows(connection, "users")}
    _add_portfolios(connection, users, "user_id")
    keys = {(row["tenant_id"], row["key_id"]): row for row in iterate_rows(connection, "api_keys")}
    for row in keys.values():
        row["scopes"] = sorted(row["scopes"].split())
    yield from _find_orphaned_grants(connection, users, keys)
    _add_portfolios(connection, keys, "key_id")
    users_by_name = {(tenant_id, _format_user_name(row)): row for (tenant_id, _), row in users.items()}
    yield from _compare("tenant", tenants, expected.tenants)
    yield from _compare("user", users_by_name, expected.users)
    yield from _compare("key", keys, expected.keys)
    sessions = _list_sessions(connection, users)
    yield from _compare("session", sessions, _remove_deleted(expected.sessions, sessions))
    yield from _compare_workspaces(connection, expected.workspaces)
    yield from _verify_logins(connection, users)


def _format_user_name(user: AuditValues) -> str:
    return str(user["email"] or user["person"])


def _add_portfolios(connection: Connection, holders: dict[Any, AuditValues], column: str) -> None:
    """Add to users or keys the portfolios that they are restricted to; None means all."""
    for row in holders.values():
        row["portfolios"] = [] if row["is_narrowed"] else None
    for grant in iterate_rows(connection, "portfolio_grants"):
        holder = holders.get((grant["tenant_id"], grant[column]))
        if holder is not None and holder["portfolios"] is not None:
            holder["portfolios"] = sorted([*holder["portfolios"], grant["portfolio_key"]])


def _find_orphaned_grants(
    connection: Connection, users: Mapping[Any, AuditValues], keys: Mapping[Any, AuditValues]
) -> Iterator[ActionDifference]:
    for grant in iterate_rows(connection, "portfolio_grants"):
        tenant_id = grant["tenant_id"]
        holder = users.get((tenant_id, grant["user_id"])) or keys.get((tenant_id, grant["key_id"]))
        is_for_one = (grant["user_id"] is None) != (grant["key_id"] is None)
        if holder is None or not holder["is_narrowed"] or not is_for_one:
            user_id = grant["user_id"] or grant["key_id"]
            yield ActionDifference(
                f"portfolio grant {grant['id']}", "holder", user_id, "a narrowed user or key"
            )


def _list_sessions(
    connection: Connection, users: Mapping[Any, AuditValues]
) -> dict[tuple[int, str], AuditValues]:
    sessions = {}
    for row in iterate_rows(connection, "sessions"):
        user = users.get((row["tenant_id"], row["user_id"]))
        sessions[row["tenant_id"], row["session_id"]] = row | {
            "user": _format_user_name(user) if user else None
        }
    return sessions


def _remove_deleted(
    expected: Mapping[Any, AuditValues], stored: Mapping[Any, AuditValues]
) -> dict[Any, AuditValues]:
    """Leave out the missing sessions that are old enough to have been deleted at a later login."""
    newest = max((fields.get("created_at") or "" for fields in expected.values()), default="")
    if not newest:
        return dict(expected)
    since = format_timestamp(datetime.fromisoformat(newest) - RETENTION_AFTER_END)
    return {
        key: fields
        for key, fields in expected.items()
        if key in stored or (fields.get("created_at") or newest) >= since
    }


def _compare_workspaces(
    connection: Connection, expected: Mapping[str, AuditValues | None]
) -> Iterator[ActionDifference]:
    stored = {row["team_id"]: row for row in iterate_rows(connection, "slack_workspaces")}
    yield from _compare("workspace", stored, {key: fields for key, fields in expected.items() if fields})
    for team_id, fields in expected.items():
        if fields is None and team_id in stored:
            yield ActionDifference(f"workspace {team_id}", "row", "a row", "none: it was released")


def _verify_logins(connection: Connection, users: Mapping[Any, AuditValues]) -> Iterator[ActionDifference]:
    logins = {(row["tenant_id"], row["user_id"]): row for row in iterate_rows(connection, "logins")}
    for (tenant_id, user_id), row in logins.items():
        user = users.get((tenant_id, user_id))
        email = user["email"] if user else "that of a user"
        if row["email"] != email:
            location = f"login of user {user_id} of tenant {tenant_id}"
            yield ActionDifference(location, "email", row["email"], email)
    for key, user in users.items():
        # a user without a Slack identity must have a password
        if user["person"] is None and key not in logins:
            tenant_id, _ = key
            location = f"user {_format_user_name(user)} of tenant {tenant_id}"
            yield ActionDifference(location, "login", "none", "a password")


def _compare(
    kind: str, stored: Mapping[Any, AuditValues], expected: Mapping[Any, AuditValues]
) -> Iterator[ActionDifference]:
    for key, fields in expected.items():
        location = f"{kind} {_format_key(key)}"
        row = stored.get(key)
        if row is None:
            yield ActionDifference(location, "row", "none", "a row, as the audit log says")
        else:
            yield from find_differences(location, row, fields)


def _format_key(key: Hashable) -> str:
    if not isinstance(key, tuple):
        return str(key)
    tenant_id, name = key
    return f"{name} of tenant {tenant_id}"
