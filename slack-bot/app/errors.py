"""What can go wrong, each named for the fact; `replies.sentences` says it to people."""

from collections.abc import Mapping
from dataclasses import dataclass


class BotError(Exception):
    """Root of the expected failures."""


class Saturated(BotError):
    """All workers are taken and the line in front of them is full; nothing was begun."""


class BadFields(BotError):
    """A form with entries that cannot be traded: one sentence per block id, all at once."""

    def __init__(self, sentences: Mapping[str, str]):
        super().__init__("The form has entries that cannot be traded.")
        self.sentences = dict(sentences)


class BadCommand(BotError):
    """A command line that is not understood; the message may say why, and usage follows."""


@dataclass(frozen=True)
class FieldProblem:
    """One entry of a problem document's `errors`."""

    field: str
    message: str


class OmsError(BotError):
    """The OMS did not do what was asked."""


class NotPlaced(OmsError):
    """Nothing was recorded, for certain: never sent, or refused before it could count."""


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


class NotAllowed(OmsError):
    """401 or 403: the key of the bot is wrong, revoked or too weak."""

    def __init__(self, status: int):
        super().__init__(f"The OMS answered {status}.")
        self.status = status


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
