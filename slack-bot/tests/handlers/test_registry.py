"""A request finds its handler by name, and malformed ones find none."""

import re
from typing import cast

import pytest

from app.handlers.registry import Handler, HandlerRegistry


def build_action(action_id, block_id="b"):
    return {"type": "block_actions", "actions": [{"action_id": action_id, "block_id": block_id}]}


@pytest.fixture
def registry():
    handler_registry = HandlerRegistry()
    for register, name in (
        (handler_registry.command("/trade"), "command"),
        (handler_registry.event("message"), "event"),
        (handler_registry.view("form"), "view"),
        (handler_registry.options("field"), "options"),
        (handler_registry.action("button"), "action"),
        (handler_registry.action({"action_id": "entry", "block_id": "symbol"}), "both ids"),
        (handler_registry.action(re.compile("tab:.*")), "pattern"),
    ):
        register(cast("Handler", name))  # a name instead of a function
    return handler_registry


@pytest.mark.parametrize(
    ("body", "handler"),
    [
        ({"command": "/trade", "type": "event_callback"}, "command"),
        ({"command": "/other"}, None),
        ({"type": "event_callback", "event": {"type": "message"}}, "event"),
        ({"type": "event_callback", "event": {"type": "other"}}, None),
        ({"type": "view_submission", "view": {"callback_id": "form"}}, "view"),
        ({"type": "view_closed", "view": {"callback_id": "form"}}, None),
        ({"type": "block_suggestion", "action_id": "field"}, "options"),
        (build_action("button"), "action"),
        (build_action("entry", "symbol"), "both ids"),
        (build_action("entry", "other"), None),
        (build_action("home:tab:orders"), "pattern"),
        (build_action("nothing"), None),
    ],
)
def test_request_finds_the_handler_of_its_kind_and_name(registry, body, handler):
    assert registry.find(body) == handler


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"type": "event_callback", "event": None},
        {"type": "view_submission", "view": []},
        {"type": "block_suggestion", "action_id": None},
        {"type": "block_actions", "actions": {}},
        {"type": "block_actions", "actions": []},
        {"type": "block_actions", "actions": ["button"]},
        {"type": ["block_actions"]},
    ],
)
def test_malformed_request_finds_none(registry, body):
    assert registry.find(body) is None
