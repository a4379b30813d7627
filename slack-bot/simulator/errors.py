"""Errors: Slack's codes for the bot, sentences for people and tests."""

from typing import Any


class SlackError(Exception):
    """A Web API call to which Slack responds with ``ok: false``.

    ``code`` is Slack's error code. ``extra`` is added to the response.
    """

    def __init__(self, code: str, **extra: Any) -> None:
        super().__init__(code)
        self.code = code
        self.extra = extra

    def build_response(self) -> dict[str, Any]:
        """Return the body of the response."""
        return {"ok": False, "error": self.code, **self.extra}


class ArgumentsError(SlackError):
    """Invalid arguments. ``problems`` lists them, as Slack's ``response_metadata`` does."""

    def __init__(self, *problems: str, code: str = "invalid_arguments") -> None:
        super().__init__(code, response_metadata={"messages": [f"[ERROR] {problem}" for problem in problems]})


class ActError(Exception):
    """An action that is not possible. ``status`` is the HTTP status."""

    def __init__(self, sentence: str, status: int = 422) -> None:
        super().__init__(sentence)
        self.status = status


class ConfigError(Exception):
    """The settings are invalid. The message states what to set."""
