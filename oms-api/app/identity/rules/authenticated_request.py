"""A request whose caller is authenticated, without its content."""

from typing import NamedTuple

from app.identity.rules.access import Caller


class AuthenticatedRequest(NamedTuple):
    """The caller, the request ID and the idempotency key of a request.

    Services build the `CommandOrigin` of a command from it, which the ledger records.
    """

    caller: Caller
    request_id: str
    idempotency_key: str | None = None
