"""The state of tenants, users, keys, sessions and workspaces that the audit log implies."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, NamedTuple

from app.audit.rules.actions import AuditedAction
from app.identity.rules.administration import format_retired_name
from app.identity.rules.keys import NAME_LENGTH
from app.identity.rules.people import ERASED_NAME
from app.text import name_key

AuditValues = dict[str, Any]
SESSION_ENDS = {  # the reason that is stored with a session, by the action that ends it
    "session.ended": "logged out",
    "session.revoked": "ended",
    "session.reused": "refresh token used twice",
}


class RowKey(NamedTuple):
    """The key of a row: its tenant, and its name within the tenant."""

    tenant_id: int
    name: str


class ExpectedRows:
    """The expected rows by table, as the audit log implies them.

    Rows that it does not mention are not checked.
    """

    def __init__(self, slugs: dict[int, str]) -> None:
        self.tenants: dict[int, AuditValues] = {}
        self.users: dict[RowKey, AuditValues] = {}  # by e-mail address, or else by person
        self.keys: dict[RowKey, AuditValues] = {}
        self.sessions: dict[RowKey, AuditValues] = {}
        self.workspaces: dict[str, AuditValues | None] = {}  # None means released
        self._workspaces_changed_at: dict[str, str] = {}
        self._slugs = slugs
        self._actions: dict[str, Callable[[AuditedAction], None]] = {
            "tenant.created": self._change_tenant,
            "tenant.changed": self._change_tenant,
            "user.created": self._create_user,
            "user.first_seen": self._see_user,
            "user.changed": self._change_user,
            "user.password_changed": self._change_password,
            "user.erased": self._erase_user,
            "key.created": self._create_key,
            "key.renamed": self._rename_key,
            "key.revoked": self._revoke_key,
            "key.rotated": self._rotate_key,
            "login.succeeded": self._open_session,
            **dict.fromkeys(SESSION_ENDS, self._close_session),
            "password.changed": self._close_other_sessions,
            "workspace.bound": self._claim_workspace,
            "workspace.released": self._release_workspace,
            "portfolio.renamed": self._rename_portfolio,
        }

    def apply(self, entries: Iterable[AuditedAction]) -> None:
        """Apply the entries in each tenant's order. Skip an entry that lacks the facts of its action."""
        for entry in entries:
            action = self._actions.get(entry.action)
            if action is not None:
                with suppress(AttributeError, LookupError, TypeError):
                    action(entry)

    def _change_tenant(self, entry: AuditedAction) -> None:
        slug = self._slugs.get(entry.tenant_id)
        # the first tenant's log also holds the operator's actions
        if entry.tenant_id != 1 or entry.target == f"tenant:{slug}":
            created = {"created_at": entry.at} if entry.action == "tenant.created" else {}
            slug_field = {"slug": entry.target.partition(":")[2]}
            self.tenants.setdefault(entry.tenant_id, {}).update(slug_field | entry.after | created)

    def _create_user(self, entry: AuditedAction) -> None:
        fields = entry.after | {"portfolios": _normalize_keys(entry.after["portfolios"]), "status": "active"}
        fields["slack_status"] = "active"
        self.users[RowKey(entry.tenant_id, _get_name(entry))] = fields | {"created_at": entry.at}

    def _see_user(self, entry: AuditedAction) -> None:
        person = {"email": None, "name": entry.target, "status": "active", "portfolios": None}
        person["slack_status"] = "active"
        fields = person | entry.after | {"created_at": entry.at}
        user_keys = [key for key, user in self.users.items() if user.get("person") == entry.target]
        if entry.tenant_id not in {key.tenant_id for key in user_keys}:
            self.users[RowKey(entry.tenant_id, entry.target)] = fields

    def _change_user(self, entry: AuditedAction) -> None:
        if not entry.target.startswith("user:"):
            return
        fields = self.users.setdefault(RowKey(entry.tenant_id, _get_name(entry)), {})
        fields.update(entry.after)
        if "portfolios" in entry.after:
            fields["portfolios"] = _normalize_keys(entry.after["portfolios"])
        if entry.after.get("status") == "disabled":
            self._revoke_sessions(entry, "user disabled", _get_name(entry))

    def _change_password(self, entry: AuditedAction) -> None:
        self._revoke_sessions(entry, "password changed", _get_name(entry))

    def _erase_user(self, entry: AuditedAction) -> None:
        called, pseudonym = _get_name(entry), entry.after["person"]
        self._revoke_sessions(entry, "user disabled", called)
        fields = self.users.pop(RowKey(entry.tenant_id, called), {})
        erased = {"person": pseudonym, "email": None, "name": ERASED_NAME, "status": "disabled"}
        self.users[RowKey(entry.tenant_id, pseudonym)] = fields | erased
        user_key = RowKey(entry.tenant_id, called)
        sessions = [
            fields for key, fields in self.sessions.items() if (key.tenant_id, fields.get("user")) == user_key
        ]
        for session in sessions:
            session["user"] = pseudonym

    def _create_key(self, entry: AuditedAction) -> None:
        self._add_key(entry, entry.after, None)

    def _rotate_key(self, entry: AuditedAction) -> None:
        old_id = entry.before["key_id"]
        retired = {"name": format_retired_name(entry.after["name"], old_id, NAME_LENGTH)}
        old = self.keys.setdefault(RowKey(entry.tenant_id, old_id), {})
        old.update(retired | {"expires_at": entry.after["old_expires_at"]})
        self._add_key(
            entry, {name: entry.after[name] for name in entry.after if name != "old_expires_at"}, old_id
        )

    def _add_key(self, entry: AuditedAction, credentials: AuditValues, rotated_from: str | None) -> None:
        creation = {"created_by": entry.actor, "created_at": entry.at, "revoked_at": None}
        portfolios = {"portfolios": _normalize_keys(credentials["portfolios"]), "rotated_from": rotated_from}
        self.keys[RowKey(entry.tenant_id, credentials["key_id"])] = credentials | portfolios | creation

    def _rename_key(self, entry: AuditedAction) -> None:
        for fields in self._list_keys_by_name(entry, entry.before["name"]):
            fields["name"] = entry.after["name"]

    def _revoke_key(self, entry: AuditedAction) -> None:
        for fields in self._list_keys_by_name(entry, entry.after["name"]):
            fields["revoked_at"] = entry.at

    def _list_keys_by_name(self, entry: AuditedAction, name: str) -> list[AuditValues]:
        """Return the keys of that name: the active one, because names of revoked keys are free again."""
        keys = [
            fields
            for key, fields in self.keys.items()
            if key.tenant_id == entry.tenant_id and fields.get("name") == name
        ]
        return [fields for fields in keys if fields.get("revoked_at") is None] or keys[-1:]

    def _open_session(self, entry: AuditedAction) -> None:
        fields = {"user": entry.actor, "created_at": entry.at, "revoked_at": None, "revoked_because": None}
        self.sessions[RowKey(entry.tenant_id, _get_name(entry))] = fields

    def _close_session(self, entry: AuditedAction) -> None:
        fields = self.sessions.setdefault(RowKey(entry.tenant_id, _get_name(entry)), {})
        fields.update({"revoked_at": entry.at, "revoked_because": SESSION_ENDS[entry.action]})

    def _close_other_sessions(self, entry: AuditedAction) -> None:
        self._revoke_sessions(entry, "password changed", entry.actor, excluded_session_id=_get_name(entry))

    def _revoke_sessions(
        self, entry: AuditedAction, reason: str, user: str, excluded_session_id: str = ""
    ) -> None:
        for key, fields in self.sessions.items():
            is_ended = fields.get("revoked_at") not in {None, entry.at}
            is_of_user = key.tenant_id == entry.tenant_id and fields.get("user") == user
            if is_of_user and key.name != excluded_session_id and not is_ended:
                fields.update({"revoked_at": entry.at, "revoked_because": reason})

    def _claim_workspace(self, entry: AuditedAction) -> None:
        slug = entry.after.get("tenant")
        # otherwise it is the operator's copy of the entry
        if slug is None or slug == self._slugs.get(entry.tenant_id):
            self._set_workspace(entry, {"tenant_id": entry.tenant_id, "bound_at": entry.at})

    def _release_workspace(self, entry: AuditedAction) -> None:
        if entry.before["tenant"] == self._slugs.get(entry.tenant_id):
            self._set_workspace(entry, None)

    def _set_workspace(self, entry: AuditedAction, fields: AuditValues | None) -> None:
        """Set the expected values of the workspace, unless an entry of another tenant is newer."""
        team_id = _get_name(entry)
        if entry.at >= self._workspaces_changed_at.get(team_id, ""):
            self._workspaces_changed_at[team_id] = entry.at
            self.workspaces[team_id] = fields

    def _rename_portfolio(self, entry: AuditedAction) -> None:
        previous, current = name_key(entry.before["name"]), name_key(entry.after["name"])
        for rows in (self.users, self.keys):
            for key, fields in rows.items():
                if key.tenant_id == entry.tenant_id and fields.get("portfolios"):
                    names = [current if name == previous else name for name in fields["portfolios"]]
                    fields["portfolios"] = sorted(names)


def _get_name(entry: AuditedAction) -> str:
    return entry.target.partition(":")[2]


def _normalize_keys(names: list[str] | None) -> list[str] | None:
    return None if names is None else sorted(map(name_key, names))
