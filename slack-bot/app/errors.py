"""Expected failures. `services.failure_messages` describes them to people."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

ORDER_DENIED = "order-denied"  # the problem type of an order that risk checks denied


class BotError(Exception):
    """Base class of the expected failures."""


class ForeignPerson(BotError):
    """Raised when a request is from a person of another workspace than the app's, or from no valid person.

    It can come from a channel that two workspaces share.
    """


class QueueFull(BotError):
    """Raised when all workers are busy and the queue is full. Nothing was started."""


class InvalidEntries(BotError):
    """Raised when entries of a form are invalid: one sentence per block id."""

    def __init__(self, sentences: Mapping[str, str]):
        super().__init__("The form has entries that cannot be traded.")
        self.sentences = dict(sentences)


class InvalidCommand(BotError):
    """Raised when a command line cannot be parsed.

    The message states the reason, and what to type instead.
    """


@dataclass(frozen=True)
class FieldProblem:
    """One entry of `errors` in a problem document."""

    field: str
    message: str


class OmsError(BotError):
    """A call to the OMS failed."""


class UnreadableResponse(OmsError):
    """Raised when the response of the OMS to a read has an unknown format."""


class NotPlaced(OmsError):
    """Raised when nothing was recorded: the trade was not sent, or the OMS refused to process it."""


class TooManyRequests(NotPlaced):
    """Raised when the OMS returned 429: the rate limit of the person, the key or the tenant is exceeded.

    `retry_after_seconds` is None if the OMS did not return it.
    """

    def __init__(self, retry_after_seconds: int | None):
        super().__init__("The OMS responded with 429.")
        self.retry_after_seconds = retry_after_seconds


class OutcomeUnknown(OmsError):
    """Raised when the trade was sent, and it is unknown whether it was recorded.

    Look it up by its idempotency key; do not send it again.
    """


class OmsRejected(OmsError):
    """Raised when the OMS refused the request (422, 409, 413), with a reason and the fields at fault.

    `kind` is the last part of the problem type, such as `order-denied`. `members` are all members of the
    problem document.
    """

    def __init__(
        self,
        detail: str,
        problems: tuple[FieldProblem, ...] = (),
        status: int = 422,
        kind: str = "",
        members: Mapping[str, Any] | None = None,
    ):
        super().__init__(detail)
        self.problems = problems
        self.status = status
        self.kind = kind
        self.members = dict(members or {})

    @property
    def is_denial(self) -> bool:
        """Whether the order is recorded as denied, under its idempotency key."""
        return self.kind == ORDER_DENIED


class IdempotencyKeyTaken(OmsError):
    """Raised when the idempotency key belongs to a trade with other entries (409)."""


class DenialReason(Enum):
    """The reason why the OMS refuses a person."""

    KEY = auto()  # the bot's API key is wrong, expired or revoked; its operator must fix it
    ACTING = auto()  # the API key is valid but may not act for people; its operator must fix it
    NOT_A_MEMBER = auto()  # the person is not a member of the tenant
    ROLE = auto()  # the member's role does not include this
    WORKSPACE = auto()  # the Slack workspace is not claimed for this tenant
    SUSPENDED = auto()  # the tenant is suspended


class OmsForbidden(OmsError):
    """Raised when the OMS responded with 401 or 403.

    It did not process the request, because of the key or the person.
    """

    def __init__(self, reason: DenialReason):
        super().__init__(f"Not allowed: {reason.name.lower()}.")
        self.reason = reason


def format_log_name(error: BotError) -> str:
    """Return a name of the failure for logs, without the texts of the OMS or of people."""
    kind = type(error).__name__
    return f"{kind} {error.reason.name.lower()}" if isinstance(error, OmsForbidden) else kind


TOKEN_CODES = frozenset({
    "account_inactive", "invalid_auth", "not_authed", "token_expired", "token_revoked",
})  # fmt: skip


class SlackError(BotError):
    """Raised when a call of the Web API failed."""


class SlackRefused(SlackError):
    """Raised when Slack returned `ok: false`. `code` is Slack's error code, such as `not_in_channel`."""

    def __init__(self, method: str, code: str):
        super().__init__(f"{method}: {code}")
        self.code = code

    @property
    def is_about_token(self) -> bool:
        """Whether Slack refuses every call until the app is installed again."""
        return self.code in TOKEN_CODES


class SlackRateLimited(SlackError):
    """Raised when Slack responded with 429 and did nothing. Retry after `retry_after_seconds`."""

    def __init__(self, method: str, retry_after_seconds: float):
        super().__init__(f"{method}: ratelimited")
        self.retry_after_seconds = retry_after_seconds


class SlackUnreachable(SlackError):
    """Raised when Slack did not respond, or the response is unreadable. The call may have had its effect."""
