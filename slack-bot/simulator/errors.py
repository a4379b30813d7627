"""What can go wrong: towards the bot in Slack's words, towards a person or a test in a sentence."""

from typing import Any


class SlackError(Exception):
    """A Web API call that Slack answers with ``ok: false``.

    ``code`` is Slack's own error code; ``extra`` goes into the answer beside it.
    """

    def __init__(self, code: str, **extra: Any) -> None:
        super().__init__(code)
        self.code = code
        self.extra = extra

    def answer(self) -> dict[str, Any]:
        """Return the body of the answer."""
        return {"ok": False, "error": self.code, **self.extra}


class ArgumentsError(SlackError):
    """Arguments that do not fit; ``problems`` says which, as Slack's ``response_metadata`` does."""

    def __init__(self, *problems: str, code: str = "invalid_arguments") -> None:
        super().__init__(code, response_metadata={"messages": [f"[ERROR] {problem}" for problem in problems]})


class ActError(Exception):
    """Something a person (or a test acting as one) cannot do here; ``status`` is the HTTP status."""

    def __init__(self, sentence: str, status: int = 422) -> None:
        super().__init__(sentence)
        self.status = status


class ConfigError(Exception):
    """The environment does not allow a start; the message says what to set."""
