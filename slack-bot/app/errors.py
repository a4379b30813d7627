"""What can go wrong, each named for the fact; `replies.sentences` says it to people."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto


class BotError(Exception):
    """Root of the expected failures."""


class Stranger(BotError):
    """Somebody of another workspace than the app's, as in a shared channel; or nobody that was named."""


class Saturated(BotError):
    """All workers are taken and the line in front of them is full; nothing was begun."""


class BadFields(BotError):
    """A form with entries that cannot be traded: one sentence per block id, all at once."""

    def __init__(self, sentences: Mapping[str, str]):
        super().__init__("The form has entries that cannot be traded.")
        self.sentences = dict(sentences)


class BadCommand(BotError):
    """A command line that is not understood: the message says why, and what to type where it knows."""


@dataclass(frozen=True)
class FieldProblem:
    """One entry of a problem document's `errors`."""

    field: str
    message: str


class OmsError(BotError):
    """The OMS did not do what was asked."""


class NotPlaced(OmsError):
    """Nothing was recorded, for certain: never sent, or refused before it could count."""


class TooManyRequests(NotPlaced):
    """429: over the rate of the person, the key or the desk; `retry_after_seconds` is None if not said."""

    def __init__(self, retry_after_seconds: int | None):
        super().__init__("The OMS answered 429.")
        self.retry_after_seconds = retry_after_seconds


class OutcomeUnknown(OmsError):
    """Sent, but no answer that settles it: ask by the idempotency key, never send again blindly."""


class Refused(OmsError):
    """The OMS understood and said no (422, 409, 413): its sentence, and the fields it blames."""

    def __init__(self, detail: str, problems: tuple[FieldProblem, ...] = (), status: int = 422):
        super().__init__(detail)
        self.problems = problems
        self.status = status


class KeyTaken(OmsError):
    """409: this idempotency key holds a trade already, made from other entries than these."""


class Bar(Enum):
    """What stands in the way of somebody."""

    KEY = auto()  # the bot's key is wrong, expired or revoked: a mistake of its operator
    ACTING = auto()  # the key is good, and may not act for people: another one
    NOT_A_MEMBER = auto()  # the desk lets this person in no more, or not yet
    ROLE = auto()  # a member, whose role does not include this
    WORKSPACE = auto()  # the Slack workspace is not claimed for this tenant
    SUSPENDED = auto()  # the whole desk is


class NotAllowed(OmsError):
    """401 or 403: nothing was looked at, because of the key or of the person."""

    def __init__(self, bar: Bar):
        super().__init__(f"Not allowed: {bar.name.lower()}.")
        self.bar = bar


def named(fault: BotError) -> str:
    """Name a fault for logs: its kind and what barred somebody, never the words of the OMS or of people."""
    kind = type(fault).__name__
    return f"{kind} {fault.bar.name.lower()}" if isinstance(fault, NotAllowed) else kind


class SlackError(BotError):
    """A Web API call that did not succeed."""


class SlackRefused(SlackError):
    """Slack answered `ok: false`; `code` is its own word, such as `not_in_channel`."""

    def __init__(self, method: str, code: str):
        super().__init__(f"{method}: {code}")
        self.code = code


class SlackRateLimited(SlackError):
    """429: nothing was done; try again after `retry_after_seconds`."""

    def __init__(self, method: str, retry_after_seconds: float):
        super().__init__(f"{method}: ratelimited")
        self.retry_after_seconds = retry_after_seconds


class SlackUnreachable(SlackError):
    """No answer, or none that could be read: the call may or may not have had its effect."""
