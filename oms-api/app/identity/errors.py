"""What can go wrong with callers, keys and people."""

from collections.abc import Iterable

from app.errors import Conflict, Forbidden, NotFound, Unauthenticated


class NoValidKey(Unauthenticated):
    """The same words for no key, a wrong, an expired and a revoked one; for tokens likewise."""

    def __init__(self) -> None:
        super().__init__("Send a valid API key in the X-API-Key header, or a valid bearer token.")


class NotAllowed(Forbidden):
    """The caller is known, and the table of roles and scopes is against it."""

    def __init__(self, needed: Iterable[str], role: str | None, *, is_narrowed: bool = False) -> None:
        who = f"The role '{role}'" if role else "This key"
        words = " or ".join(f"'{word}'" for word in sorted(needed))
        everything = " for all portfolios" if is_narrowed else ""
        super().__init__(f"{who} does not allow this: it needs the scope {words}{everything}.")


class OperatorsAlone(Forbidden):
    """It tells of the whole installation, all tenants' work together."""

    def __init__(self) -> None:
        super().__init__("This is for keys of the first tenant, the installation's own, that act for nobody.")


class PeopleAlone(Forbidden):
    """Somebody has to answer for it: a key by itself is nobody."""

    def __init__(self) -> None:
        super().__init__("This is for a named person: log in, or let a key act for somebody.")


class NotYourPortfolio(Forbidden):
    """The caller is narrowed to other portfolios; whether this one exists is not told."""

    kind, title = "not-your-portfolio", "Not one of your portfolios"

    def __init__(self) -> None:
        super().__init__("This is not one of the portfolios that you may trade.")


class MayNotActAs(Forbidden):
    """Only a key made for it speaks for people."""

    kind, title = "may-not-act-as", "The key may not act for people"

    def __init__(self) -> None:
        super().__init__("X-On-Behalf-Of is for keys with the scope 'act_as' alone.")


class NotAPerson(Forbidden):
    """The header names nobody."""

    kind, title = "not-a-person", "Nobody is named"

    def __init__(self) -> None:
        super().__init__("X-On-Behalf-Of must be slack:<team>:<user>, both as Slack writes them.")


class PersonRefused(Forbidden):
    """The tenant takes no newcomers, or has disabled this one."""

    kind, title = "person-refused", "Not a member of this desk"

    def __init__(self) -> None:
        super().__init__("You are not a member of this desk; ask its administrator.")


class WorkspaceElsewhere(Forbidden):
    """The workspace is not bound to the caller's tenant; whether to another one is not said."""

    kind, title = "workspace-elsewhere", "The workspace is not this desk's"

    def __init__(self) -> None:
        super().__init__("This Slack workspace does not belong to the desk of this key.")


class TenantSuspended(Forbidden):
    """The tenant's access is switched off; its books stand."""

    kind, title = "tenant-suspended", "The desk is suspended"

    def __init__(self) -> None:
        super().__init__("This desk is suspended; ask the operator of this installation.")


class KeyNameTaken(Conflict):
    """A tenant's keys have different names."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is a key named {name!r} already; revoked names stay taken.")


class NoSuchKey(NotFound):
    """Nothing to revoke."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no live key named {name!r}.")


class NoSuchKeyId(NotFound):
    """No key of that id, or another tenant's."""

    def __init__(self, key_id: str) -> None:
        super().__init__(f"There is no API key {key_id!r}.")


class KeyIsOver(Conflict):
    """A key that opens nothing, or has a successor, is not rotated."""

    def __init__(self, name: str) -> None:
        super().__init__(f"The key {name!r} is revoked, expired or rotated already; make a new one.")


class NoSuchUser(NotFound):
    """No user of that id, or another tenant's."""

    def __init__(self, user_id: int) -> None:
        super().__init__(f"There is no user {user_id}.")


class UserExists(Conflict):
    """An e-mail address, and a person from Slack, is one user of a tenant."""

    def __init__(self, who: str) -> None:
        super().__init__(f"There is a user {who!r} already.")


class NoSuchTenant(NotFound):
    """No tenant of that slug, or not the caller's to see."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"There is no tenant {slug!r}.")


class NoSuchWorkspace(NotFound):
    """The workspace is not bound to the tenant."""

    def __init__(self, team_id: str) -> None:
        super().__init__(f"The workspace {team_id} is not bound to this tenant.")


class WorkspaceTaken(Conflict):
    """A workspace is bound to one tenant at a time."""

    def __init__(self, team_id: str) -> None:
        super().__init__(f"The workspace {team_id} is bound to another tenant; release it there first.")


class SlugTaken(Conflict):
    """Tenants have different slugs."""

    def __init__(self, slug: str) -> None:
        super().__init__(f"There is a tenant {slug!r} already.")


class FirstTenantStays(Conflict):
    """The installation's own key belongs to the first tenant."""

    def __init__(self) -> None:
        super().__init__("The first tenant cannot be suspended: the installation's own key belongs to it.")


class TooBroad(Forbidden):
    """Nobody gives what they have not themselves."""

    kind, title = "too-broad", "More than you have yourself"


class LastAdmin(Conflict):
    """A tenant keeps somebody who can administer it."""

    kind, title = "last-admin", "Nobody would be left to administer the tenant"

    def __init__(self) -> None:
        super().__init__(
            "This would leave nobody who can administer the tenant: no active admin with a password who is "
            "for all portfolios, and no such live key with the scope 'admin'. Make another one first."
        )


class RequestKeyReused(Conflict):
    """An idempotency key is bound to the first request that was carried out under it."""

    kind, title = "idempotency-key-reused", "The key was used for another request"

    def __init__(self, key: str) -> None:
        super().__init__(f"Idempotency-Key {key!r} was used for another request; nothing was changed.")


class ShownOnce(Conflict):
    """The request was carried out, and its answer held a secret that is not kept."""

    kind, title = "secret-shown-once", "The secret was shown once"

    def __init__(self) -> None:
        super().__init__(
            "This request was carried out before. Its answer held a secret, which is shown once: where it "
            "was lost, rotate or revoke the key."
        )


class Overtaken(Conflict):
    """Another writer was faster, twice in a row."""

    def __init__(self) -> None:
        super().__init__(
            "Another request changed this at the same moment; nothing was changed. Send it again."
        )
