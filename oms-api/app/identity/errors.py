"""Errors of authentication, authorization and administration."""

from collections.abc import Iterable

from app.errors import Conflict, Forbidden, NotFound, Unauthenticated


class NoValidKey(Unauthenticated):
    """Raised for a missing, unknown, expired or revoked key or token, always with the same message."""

    sentence = "Send a valid API key in the X-API-Key header, or a valid bearer token."


class NotAllowed(Forbidden):
    """Raised when the caller is authenticated, but its roles and scopes do not allow the operation."""

    def __init__(self, needed: Iterable[str], role: str | None, *, is_narrowed: bool = False) -> None:
        subject = f"The role '{role}'" if role else "This key"
        scopes = " or ".join(f"'{word}'" for word in sorted(needed))
        everything = " for all portfolios" if is_narrowed else ""
        super().__init__(f"{subject} does not allow this: it needs the scope {scopes}{everything}.")


class OperatorRequired(Forbidden):
    """Raised when a key of another tenant calls an operation that reads data of all tenants."""

    sentence = "This operation needs a key of the first tenant, the operator's, without X-On-Behalf-Of."


class PersonRequired(Forbidden):
    """Raised when a key alone calls an operation for which a named person is accountable."""

    sentence = "This operation needs a named person. Log in, or act for a person by X-On-Behalf-Of."


class NotYourPortfolio(Forbidden):
    """Raised when the caller is restricted to other portfolios.

    The message does not reveal whether this portfolio exists.
    """

    kind, title = "not-your-portfolio", "No access to the portfolio"
    sentence = "You have no access to this portfolio; ask an administrator for it."


class ActingNotAllowed(Forbidden):
    """Raised when a key without the scope `act_as` acts for a person."""

    kind, title = "may-not-act-as", "The key may not act for people"
    sentence = "X-On-Behalf-Of needs a key with the scope 'act_as'; use such a key, or leave the header out."


class NotAPerson(Forbidden):
    """Raised when the header does not name a person."""

    kind, title = "not-a-person", "Invalid `X-On-Behalf-Of` header"
    sentence = "X-On-Behalf-Of must be slack:<team>:<user>, both as Slack writes them."


class PersonRejected(Forbidden):
    """Raised when the tenant does not accept new users from Slack, or this user is disabled."""

    kind, title = "person-refused", "Not a member of the tenant"
    sentence = "You are not a member of this tenant; ask its administrator."


class WorkspaceNotBound(Forbidden):
    """Raised when the workspace is not bound to the caller's tenant.

    The message does not reveal another tenant.
    """

    kind, title = "workspace-elsewhere", "The workspace is not connected"
    sentence = (
        "This Slack workspace is not connected to the tenant of this key; ask the operator to connect it."
    )


class TenantSuspended(Forbidden):
    """Raised when the tenant is suspended: no access, but its data is kept."""

    kind, title = "tenant-suspended", "The tenant is suspended"
    sentence = "This tenant is suspended; ask the operator of this installation."


class KeyHasLimits(Conflict):
    """Raised when limits or latches name the key, and would not apply to it under another name."""

    kind, title = "key-has-limits", "Limits or latches name the key"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"Limits or latches name the key {name!r}; remove the limits and release the latches first."
        )


class KeyNameTaken(Conflict):
    """Raised when another key of the tenant has this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"A key named {name!r} exists already, possibly a revoked one; choose another name.")


class NoSuchKey(NotFound):
    """Raised when the key to revoke does not exist."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no valid key named {name!r}; see `python -m app.admin --help`.")


class NoSuchKeyId(NotFound):
    """Raised when the key id does not exist in the caller's tenant."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"There is no API key {key_id!r}; list the keys with `GET /api-keys`.")


class KeyNotActive(Conflict):
    """Raised when a key that is expired, revoked or already rotated is to be rotated."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The key {name!r} is revoked, expired or rotated already; create a new one.")


class NoSuchPerson(NotFound):
    """Raised when the tenant has no user with that Slack identity."""

    def __init__(self, person: str) -> None:
        super().__init__(f"There is no user {person!r} in this tenant; create the user first.")


class NoSuchUser(NotFound):
    """Raised when the user id does not exist in the caller's tenant."""

    def __init__(self, user_id: int) -> None:
        super().__init__(f"There is no user {user_id}; list the users with `GET /users`.")


class UserExists(Conflict):
    """Raised when another user of the tenant has this e-mail address or Slack identity."""

    def __init__(self, user_name: str) -> None:
        super().__init__(f"A user {user_name!r} exists already; change that user instead.")


class NoSuchTenant(NotFound):
    """Raised when the slug does not exist, or the caller may not see that tenant."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"There is no tenant {slug!r}; list the tenants with `GET /tenants`.")


class NoSuchWorkspace(NotFound):
    """Raised when the workspace is not bound to the tenant."""

    def __init__(self, team_id: str) -> None:
        super().__init__(f"The workspace {team_id} is not bound to this tenant; check its ID.")


class WorkspaceTaken(Conflict):
    """Raised when the workspace is already bound to a tenant."""

    def __init__(self, team_id: str) -> None:
        super().__init__(f"The workspace {team_id} is bound to another tenant; release it there first.")


class SlugTaken(Conflict):
    """Raised when another tenant has this slug."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"A tenant {slug!r} exists already; choose another slug.")


class FirstTenantRequired(Conflict):
    """Raised when the first tenant is to be suspended, which owns the operator's key."""

    sentence = "The first tenant cannot be suspended: the installation's own key belongs to it."


class RightsExceeded(Forbidden):
    """Raised when callers grant rights that they do not have."""

    kind, title = "too-broad", "Insufficient permissions"


class LastAdmin(Conflict):
    """Raised when a tenant would have no administrator."""

    kind, title = "last-admin", "The tenant needs an administrator"
    sentence = (
        "The tenant would have no administrator left: no active admin with a password and access to all "
        "portfolios, and no such key with the scope 'admin'. Create another one first."
    )


class RequestKeyReused(Conflict):
    """Raised when the idempotency key was already used for a different request."""

    kind, title = "idempotency-key-reused", "The key was used for another request"

    def __init__(self, key: str) -> None:
        super().__init__(
            f"Idempotency-Key {key!r} was used for another request, and nothing was changed; use a new key."
        )


class SecretNotStored(Conflict):
    """Raised when the request was already executed, and its response held a secret that is not stored."""

    kind, title = "secret-shown-once", "The secret was shown once"
    sentence = (
        "This request was already executed. Its response held a secret, which is shown once. If it "
        "was lost, rotate or revoke the key."
    )


class ConcurrentChange(Conflict):
    """Raised when a concurrent writer changed the data in both attempts."""

    sentence = "Another request changed this at the same moment; nothing was changed. Send it again."
