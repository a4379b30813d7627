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

    def apply(self, acts: Iterable[AuditedAction]) -> None:
        """Apply the entries in each tenant's order. Skip an entry that lacks the facts of its action."""
        for act in acts:
            action = self._actions.get(act.action)
            if action is not None:
                with suppress(AttributeError, LookupError, TypeError):
                    action(act)

    def _change_tenant(self, act: AuditedAction) -> None:
        slug = self._slugs.get(act.tenant_id)
        # the first tenant's log also holds the operator's actions
        if act.tenant_id != 1 or act.target == f"tenant:{slug}":
            created = {"created_at": act.at} if act.action == "tenant.created" else {}
            slug_field = {"slug": act.target.partition(":")[2]}
            self.tenants.setdefault(act.tenant_id, {}).update(slug_field | act.after | created)

    def _create_user(self, act: AuditedAction) -> None:
        fields = act.after | {"portfolios": _normalize_keys(act.after["portfolios"]), "status": "active"}
        fields["slack_status"] = "active"
        self.users[RowKey(act.tenant_id, _get_name(act))] = fields | {"created_at": act.at}

    def _see_user(self, act: AuditedAction) -> None:
        person = {"email": None, "name": act.target, "status": "active", "portfolios": None}
        person["slack_status"] = "active"
        fields = person | act.after | {"created_at": act.at}
        user_keys = [key for key, user in self.users.items() if user.get("person") == act.target]
        if act.tenant_id not in {key.tenant_id for key in user_keys}:
            self.users[RowKey(act.tenant_id, act.target)] = fields

    def _change_user(self, act: AuditedAction) -> None:
        if not act.target.startswith("user:"):
            return
        fields = self.users.setdefault(RowKey(act.tenant_id, _get_name(act)), {})
        fields.update(act.after)
        if "portfolios" in act.after:
            fields["portfolios"] = _normalize_keys(act.after["portfolios"])
        if act.after.get("status") == "disabled":
            self._revoke_sessions(act, "user disabled", _get_name(act))

    def _change_password(self, act: AuditedAction) -> None:
        self._revoke_sessions(act, "password changed", _get_name(act))

    def _erase_user(self, act: AuditedAction) -> None:
        called, pseudonym = _get_name(act), act.after["person"]
        self._revoke_sessions(act, "user disabled", called)
        fields = self.users.pop(RowKey(act.tenant_id, called), {})
        erased = {"person": pseudonym, "email": None, "name": ERASED_NAME, "status": "disabled"}
        self.users[RowKey(act.tenant_id, pseudonym)] = fields | erased
        user_key = RowKey(act.tenant_id, called)
        sessions = [
            fields for key, fields in self.sessions.items() if (key.tenant_id, fields.get("user")) == user_key
        ]
        for session in sessions:
            session["user"] = pseudonym

    def _create_key(self, act: AuditedAction) -> None:
        self._add_key(act, act.after, None)

    def _rotate_key(self, act: AuditedAction) -> None:
        old_id = act.before["key_id"]
        retired = {"name": format_retired_name(act.after["name"], old_id, NAME_LENGTH)}
        old = self.keys.setdefault(RowKey(act.tenant_id, old_id), {})
        old.update(retired | {"expires_at": act.after["old_expires_at"]})
        self._add_key(act, {name: act.after[name] for name in act.after if name != "old_expires_at"}, old_id)

    def _add_key(self, act: AuditedAction, credentials: AuditValues, rotated_from: str | None) -> None:
        creation = {"created_by": act.actor, "created_at": act.at, "revoked_at": None}
        portfolios = {"portfolios": _normalize_keys(credentials["portfolios"]), "rotated_from": rotated_from}
        self.keys[RowKey(act.tenant_id, credentials["key_id"])] = credentials | portfolios | creation

    def _rename_key(self, act: AuditedAction) -> None:
        for fields in self._list_keys_by_name(act, act.before["name"]):
            fields["name"] = act.after["name"]

    def _revoke_key(self, act: AuditedAction) -> None:
        for fields in self._list_keys_by_name(act, act.after["name"]):
            fields["revoked_at"] = act.at

    def _list_keys_by_name(self, act: AuditedAction, name: str) -> list[AuditValues]:
        """Return the keys of that name: the active one, because names of revoked keys are free again."""
        keys = [
            fields
            for key, fields in self.keys.items()
            if key.tenant_id == act.tenant_id and fields.get("name") == name
        ]
        return [fields for fields in keys if fields.get("revoked_at") is None] or keys[-1:]

    def _open_session(self, act: AuditedAction) -> None:
        fields = {"user": act.actor, "created_at": act.at, "revoked_at": None, "revoked_because": None}
        self.sessions[RowKey(act.tenant_id, _get_name(act))] = fields

    def _close_session(self, act: AuditedAction) -> None:
        fields = self.sessions.setdefault(RowKey(act.tenant_id, _get_name(act)), {})
        fields.update({"revoked_at": act.at, "revoked_because": SESSION_ENDS[act.action]})

    def _close_other_sessions(self, act: AuditedAction) -> None:
        self._revoke_sessions(act, "password changed", act.actor, excluded_session_id=_get_name(act))

    def _revoke_sessions(
        self, act: AuditedAction, because: str, user: str, excluded_session_id: str = ""
    ) -> None:
        for key, fields in self.sessions.items():
            is_ended = fields.get("revoked_at") not in {None, act.at}
            is_of_user = key.tenant_id == act.tenant_id and fields.get("user") == user
            if is_of_user and key.name != excluded_session_id and not is_ended:
                fields.update({"revoked_at": act.at, "revoked_because": because})

    def _claim_workspace(self, act: AuditedAction) -> None:
        slug = act.after.get("tenant")
        # otherwise it is the operator's copy of the entry
        if slug is None or slug == self._slugs.get(act.tenant_id):
            self._set_workspace(act, {"tenant_id": act.tenant_id, "bound_at": act.at})

    def _release_workspace(self, act: AuditedAction) -> None:
        if act.before["tenant"] == self._slugs.get(act.tenant_id):
            self._set_workspace(act, None)

    def _set_workspace(self, act: AuditedAction, fields: AuditValues | None) -> None:
        """Set what the workspace must be, unless an entry of another tenant is newer."""
        team_id = _get_name(act)
        if act.at >= self._workspaces_changed_at.get(team_id, ""):
            self._workspaces_changed_at[team_id] = act.at
            self.workspaces[team_id] = fields

    def _rename_portfolio(self, act: AuditedAction) -> None:
        previous, current = name_key(act.before["name"]), name_key(act.after["name"])
        for rows in (self.users, self.keys):
            for key, fields in rows.items():
                if key.tenant_id == act.tenant_id and fields.get("portfolios"):
                    names = [current if name == previous else name for name in fields["portfolios"]]
                    fields["portfolios"] = sorted(names)


def _get_name(act: AuditedAction) -> str:
    return act.target.partition(":")[2]


def _normalize_keys(names: list[str] | None) -> list[str] | None:
    return None if names is None else sorted(map(name_key, names))
