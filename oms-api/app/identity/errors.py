"""What can go wrong with keys."""

from app.errors import Conflict, Forbidden, NotFound, Unauthenticated


class NoValidKey(Unauthenticated):
    """The same words for no key, a wrong, an expired and a revoked one."""

    def __init__(self) -> None:
        super().__init__("Send a valid API key in the X-API-Key header.")


class MissingScope(Forbidden):
    """The key is good, and not for this."""

    def __init__(self, scope: str) -> None:
        super().__init__(f"This key lacks the scope {scope!r}.")


class KeyNameTaken(Conflict):
    """A tenant's keys have different names."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is a key named {name!r} already; revoked names stay taken.")


class NoSuchKey(NotFound):
    """Nothing to revoke."""

    def __init__(self, name: str) -> None:
        super().__init__(f"There is no live key named {name!r}.")
