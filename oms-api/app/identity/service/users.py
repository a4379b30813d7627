"""Create, change and disable users. A user's rights are its role and its portfolios."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from app.audit.rules.entries import AuditValues
from app.errors import FieldError, Invalid
from app.identity.errors import NoSuchPerson, NoSuchUser, UserExists
from app.identity.queries import sessions as credentials
from app.identity.queries import users as queries
from app.identity.queries.users import UserRow
from app.identity.rules.access import Caller, Role
from app.identity.rules.administration import NewUser, UserChanges, require_role
from app.identity.service.change_executor import ChangeExecutor, ChangeRequest, ChangeResponse, ChangeResult
from app.identity.service.grants import list_granted_portfolios, replace_portfolios, require_admin
from app.timestamps import format_timestamp

_GRANTED = ("role", "status", "portfolios")


async def create_user(
    change_executor: ChangeExecutor, request: ChangeRequest, parameters: NewUser
) -> ChangeResponse:
    """Create a user. Raises UserExists, RightsExceeded or Invalid."""
    password_hash = None
    if parameters.password is not None:
        password_hash = await change_executor.hash_password(
            parameters.password, (parameters.email, parameters.name)
        )
    return await change_executor.execute(request, _create_user, parameters, password_hash)


async def update_user(
    change_executor: ChangeExecutor,
    request: ChangeRequest,
    user: UserRow,
    changes: UserChanges,
    status: int = 200,
) -> ChangeResponse:
    """Change a user that was read before. Raises NoSuchUser, RightsExceeded, LastAdmin or Invalid."""
    password_hash = None
    if "password" in changes:
        password_hash = await change_executor.hash_password(changes["password"], (user.email, user.name))
    return await change_executor.execute(request, _update_user, user.id, changes, password_hash, status)


def set_slack_status(
    connection: Connection, request: ChangeRequest, person: str, status: str, now: datetime
) -> ChangeResult:
    """Store whether Slack has deactivated a person's account. Raises NoSuchPerson or LastAdmin.

    Requests of and for a deactivated person are refused within one second, whatever administrators have set.
    """
    caller = request.caller
    user = queries.find_user_of_person(connection, caller.tenant_id, person)
    if user is None:
        raise NoSuchPerson(person)
    response = {"person": person, "status": status}
    if user.slack_status == status:
        return ChangeResult(response, ())
    queries.update_user(connection, caller.tenant_id, user.id, {"slack_status": status}, now)
    require_admin(connection, caller, now)
    before, after = {"slack_status": user.slack_status}, {"slack_status": status}
    return ChangeResult(
        response, [request.build_audit_entry(now, "user.changed", _build_target(user), before, after)]
    )


def get_user(connection: Connection, tenant_id: int, user_id: int) -> UserRow:
    """Return a user. Raises NoSuchUser."""
    user = queries.find_user(connection, tenant_id, user_id)
    if user is None:
        raise NoSuchUser(user_id)
    return user


def serialize_users(connection: Connection, tenant_id: int, users: list[UserRow]) -> list[dict[str, Any]]:
    """Serialize users for administrators, with the names of their portfolios."""
    portfolio_names = list_granted_portfolios(
        connection, tenant_id, "user_id", [user.id for user in users if user.is_narrowed]
    )
    return [_serialize_user(user, portfolio_names.get(user.id)) for user in users]


def _create_user(
    connection: Connection,
    request: ChangeRequest,
    parameters: NewUser,
    password_hash: str | None,
    now: datetime,
) -> ChangeResult:
    caller, tenant_id = request.caller, request.caller.tenant_id
    require_role(caller, parameters.role)
    if queries.is_known(connection, tenant_id, email=parameters.email, person=parameters.person):
        raise UserExists(parameters.email or parameters.person or "")
    values: dict[str, Any] = {
        "email": parameters.email,
        "person": parameters.person,
        "name": parameters.name,
        "role": parameters.role.value,
    }
    values["is_narrowed"] = parameters.portfolios is not None
    user_id = queries.store_user(connection, tenant_id, values, now)
    portfolios = replace_portfolios(connection, caller, "user_id", user_id, parameters.portfolios)
    if password_hash is not None and parameters.email is not None:
        credentials.store_login(connection, tenant_id, parameters.email, user_id, password_hash, now)
    user = get_user(connection, tenant_id, user_id)
    entry = request.build_audit_entry(
        now, "user.created", _build_target(user), None, _serialize_for_audit(user, portfolios)
    )
    return ChangeResult(_serialize_user(user, portfolios), [entry], 201)


def _update_user(
    connection: Connection,
    request: ChangeRequest,
    user_id: int,
    changes: UserChanges,
    password_hash: str | None,
    status: int,
    now: datetime,
) -> ChangeResult:
    caller, tenant_id = request.caller, request.caller.tenant_id
    user = get_user(connection, tenant_id, user_id)
    [before] = serialize_users(connection, tenant_id, [user])
    _require_right(caller, user, changes)
    columns: dict[str, Any] = {name: changes[name] for name in ("name", "role", "status") if name in changes}
    if "portfolios" in changes:
        replace_portfolios(connection, caller, "user_id", user_id, changes["portfolios"])
        columns["is_narrowed"] = changes["portfolios"] is not None
    if password_hash is not None:
        _set_password(connection, tenant_id, user, password_hash, now)
    queries.update_user(connection, tenant_id, user_id, columns, now)
    if set(changes).intersection(_GRANTED):
        require_admin(connection, caller, now)
    [after] = serialize_users(connection, tenant_id, [get_user(connection, tenant_id, user_id)])
    _revoke_sessions(connection, tenant_id, after, now, password_changed=password_hash is not None)
    result = _serialize_change(request, user, before, after, now, password_changed=password_hash is not None)
    return result._replace(status=status)


def _require_right(caller: Caller, user: UserRow, changes: UserChanges) -> None:
    """Raise RightsExceeded if the caller would grant, revoke or override rights that it does not have."""
    require_role(caller, Role(user.role), Role(changes.get("role", user.role)))


def _set_password(
    connection: Connection, tenant_id: int, user: UserRow, password_hash: str, now: datetime
) -> None:
    if user.email is None:
        message = "This person has no e-mail address to log in with; set `email` first."
        raise Invalid(message, [FieldError("password", message, "no_email")])
    if not credentials.replace_password_hash(connection, tenant_id, user.id, password_hash, now):
        credentials.store_login(connection, tenant_id, user.email, user.id, password_hash, now)


def _revoke_sessions(
    connection: Connection, tenant_id: int, after: dict[str, Any], now: datetime, *, password_changed: bool
) -> None:
    reason = "password changed" if password_changed else "user disabled"
    if password_changed or after["status"] == "disabled":
        credentials.revoke_sessions_of_user(connection, tenant_id, after["id"], reason, now)


def _serialize_change(
    request: ChangeRequest, user: UserRow, before: dict[str, Any], after: dict[str, Any], now: datetime, *,
    password_changed: bool,
) -> ChangeResult:  # fmt: skip
    audited = ("name", "role", "status", "portfolios")
    changed = [name for name in audited if before[name] != after[name]]
    entries = []
    if changed:
        previous, current = ({name: fields[name] for name in changed} for fields in (before, after))
        entries.append(request.build_audit_entry(now, "user.changed", _build_target(user), previous, current))
    if password_changed:
        entries.append(request.build_audit_entry(now, "user.password_changed", _build_target(user)))
    return ChangeResult(after, entries)


def _serialize_user(user: UserRow, portfolios: list[str] | None) -> dict[str, Any]:
    fields = user._asdict()
    del fields["is_narrowed"]
    times = {"created_at": format_timestamp(user.created_at), "updated_at": format_timestamp(user.updated_at)}
    return fields | times | {"can_log_in": bool(user.can_log_in), "portfolios": portfolios}


def _serialize_for_audit(user: UserRow, portfolios: list[str] | None) -> AuditValues:
    return {
        "email": user.email,
        "person": user.person,
        "name": user.name,
        "role": user.role,
        "portfolios": portfolios,
    }


def _build_target(user: UserRow) -> str:
    return f"user:{user.audit_name}"
