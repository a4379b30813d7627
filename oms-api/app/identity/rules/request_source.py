"""The source of a request: who sent it, and under which ids."""

from typing import NamedTuple

from app.identity.rules.access import Caller


class RequestSource(NamedTuple):
    """The caller, the request id and the idempotency key of a request.

    A service builds the `Origin` of a command from it.
    """

    caller: Caller
    request_id: str
    key: str | None = None
