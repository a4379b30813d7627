"""The handlers of Slack's requests, by kind and name."""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from slack_bolt import Ack, BoltContext

Handler = Callable[[Ack, dict[str, Any], BoltContext], None]
RegisterHandler = Callable[[Handler], None]
ActionConstraint = str | re.Pattern[str] | Mapping[str, str]


class RequestKind(StrEnum):
    """The kinds of requests from Slack, and the field that names the handler."""

    COMMAND = "command"
    EVENT = "event"  # by the type of the event
    ACTION = "block_actions"  # by the action id
    VIEW = "view_submission"  # by the callback id
    OPTIONS = "block_suggestion"  # by the action id


class HandlerRegistry:
    """Register handlers and find them."""

    def __init__(self) -> None:
        self._handlers: dict[tuple[RequestKind, str], Handler] = {}
        # Of actions, in the order of registration
        self._patterns: list[tuple[ActionConstraint, Handler]] = []

    def command(self, name: str) -> RegisterHandler:
        """Register the handler of a slash command."""
        return self._create_register(RequestKind.COMMAND, name)

    def event(self, event_type: str) -> RegisterHandler:
        """Register the handler of a type of events."""
        return self._create_register(RequestKind.EVENT, event_type)

    def view(self, callback_id: str) -> RegisterHandler:
        """Register the handler of a submitted form."""
        return self._create_register(RequestKind.VIEW, callback_id)

    def options(self, action_id: str) -> RegisterHandler:
        """Register the handler that returns the options of a field."""
        return self._create_register(RequestKind.OPTIONS, action_id)

    def action(self, constraint: ActionConstraint) -> RegisterHandler:
        """Register the handler of an element by its action id, by a pattern of it, or by both of its ids."""
        if isinstance(constraint, str):
            return self._create_register(RequestKind.ACTION, constraint)

        def register(handler: Handler) -> None:
            self._patterns.append((constraint, handler))

        return register

    def find(self, body: Mapping[str, Any]) -> Handler | None:
        """Return the handler of a request, None if there is none or the request is malformed."""
        if "command" in body:
            return self._handlers.get((RequestKind.COMMAND, str(body["command"])))
        kind = body.get("type")
        if kind == "event_callback":
            return self._handlers.get((RequestKind.EVENT, _read_text(body.get("event"), "type")))
        if kind == RequestKind.VIEW:
            return self._handlers.get((RequestKind.VIEW, _read_text(body.get("view"), "callback_id")))
        if kind == RequestKind.OPTIONS:
            return self._handlers.get((RequestKind.OPTIONS, _read_text(body, "action_id")))
        return self._find_action(body.get("actions")) if kind == RequestKind.ACTION else None

    def _create_register(self, kind: RequestKind, name: str) -> RegisterHandler:
        def register(handler: Handler) -> None:
            self._handlers[kind, name] = handler

        return register

    def _find_action(self, actions: Any) -> Handler | None:
        action = actions[0] if isinstance(actions, list) and actions else None
        action_id = _read_text(action, "action_id")
        block_id = _read_text(action, "block_id")
        if handler := self._handlers.get((RequestKind.ACTION, action_id)):
            return handler
        handlers = (
            action_handler
            for constraint, action_handler in self._patterns
            if _is_match(constraint, action_id, block_id)
        )
        return next(handlers, None) if action is not None else None


def _read_text(part: Any, name: str) -> str:
    return str(part.get(name, "")) if isinstance(part, dict) else ""


def _is_match(constraint: ActionConstraint, action_id: str, block_id: str) -> bool:
    if isinstance(constraint, re.Pattern):
        return constraint.search(action_id) is not None
    return isinstance(constraint, Mapping) and constraint == {"action_id": action_id, "block_id": block_id}
