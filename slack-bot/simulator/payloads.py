"""Build the payloads that Slack sends: commands, interactions and events.

The functions have no side effects.
"""

import json
from typing import Any
from urllib.parse import urlencode

from simulator import workspace
from simulator.messages import Message
from simulator.request_delivery import JSON, Request
from simulator.views import View
from simulator.workspace import Channel, Person

VERIFICATION_TOKEN = "deprecated"  # noqa: S105 - Slack still sends one, for apps that do not check signatures
Payload = dict[str, Any]


def command(person: Person, channel: Channel, line: str, trigger_id: str, response_url: str) -> Request:
    """Return the request of a slash command. ``line`` begins with the slash."""
    name, _, text = line.partition(" ")
    fields = {
        "token": VERIFICATION_TOKEN,
        "team_id": person.team.id,
        "team_domain": person.team.domain,
        "channel_id": channel.id,
        "channel_name": channel_name(channel),
        "user_id": person.id,
        "user_name": person.name,
        "command": name,
        "text": text.strip(),
        "api_app_id": workspace.APP_ID,
        "is_enterprise_install": "false",
        "response_url": response_url,
        "trigger_id": trigger_id,
    }
    return Request("command", "/slack/commands", urlencode(fields).encode())


def interaction(payload: Payload) -> Request:
    """Return the request of an interaction."""
    body = urlencode({"payload": json.dumps(payload, ensure_ascii=False)}).encode()
    return Request(payload["type"], "/slack/interactions", body)


def event(envelope: Payload, attempt: int = 0, reason: str = "") -> Request:
    """Return the request of an event. ``attempt`` above 0 is a retry, because of ``reason``."""
    headers = {"X-Slack-Retry-Num": str(attempt), "X-Slack-Retry-Reason": reason} if attempt else {}
    body = json.dumps(envelope, ensure_ascii=False).encode()
    return Request("event", "/slack/events", body, JSON, headers)


def build_event_envelope(
    inner: Payload, event_id: str, event_time: int, team_id: str = workspace.TEAM_ID
) -> Payload:
    """Return an event in the envelope that names workspace and app."""
    authorization = {
        "enterprise_id": None,
        "team_id": team_id,
        "user_id": workspace.BOT_USER_ID,
        "is_bot": True,
        "is_enterprise_install": False,
    }
    return {
        "token": VERIFICATION_TOKEN,
        "team_id": team_id,
        "api_app_id": workspace.APP_ID,
        "event": inner,
        "type": "event_callback",
        "event_id": event_id,
        "event_time": event_time,
        "authorizations": [authorization],
        "is_ext_shared_channel": False,
    }


def view_submission(person: Person, view: View, trigger_id: str, response_urls: list[Payload]) -> Payload:
    """Return the payload of a submitted form."""
    about = _build_base("view_submission", person) | {"trigger_id": trigger_id, "view": view.payload()}
    return about | {"response_urls": response_urls}


def view_closed(person: Person, view: View, is_cleared: bool) -> Payload:
    """Return the payload of a closed form."""
    return _build_base("view_closed", person) | {"view": view.payload(), "is_cleared": is_cleared}


def view_action(person: Person, view: View, action: Payload, trigger_id: str) -> Payload:
    """Return the payload of an element in a form or a home tab."""
    return _build_base("block_actions", person) | {
        "container": {"type": "view", "view_id": view.id},
        "trigger_id": trigger_id,
        "view": view.payload(),
        "actions": [action],
    }


def build_message_action(
    person: Person, channel: Channel, message: Message, action: Payload, *, trigger_id: str, response_url: str
) -> Payload:
    """Return the payload of an element in a message."""
    return _build_base("block_actions", person) | {
        **_build_message_source(channel, message),
        "trigger_id": trigger_id,
        "state": {"values": message.values.get(person.id, {})},
        "response_url": response_url,
        "actions": [action],
    }


def view_options(person: Person, view: View, request: Payload) -> Payload:
    """Return the payload that requests options for an element in a form."""
    source = {"container": {"type": "view", "view_id": view.id}, "view": view.payload()}
    return _build_base("block_suggestion", person) | source | request


def build_message_options(person: Person, channel: Channel, message: Message, request: Payload) -> Payload:
    """Return the payload that requests options for an element in a message."""
    return _build_base("block_suggestion", person) | _build_message_source(channel, message) | request


def channel_name(channel: Channel) -> str:
    """Return the name of a channel as apps see it. Private channels have no name."""
    return {"im": "directmessage", "private": "privategroup"}.get(channel.kind, channel.name)


def _build_base(kind: str, person: Person) -> Payload:
    user = {"id": person.id, "username": person.name, "name": person.name, "team_id": person.team.id}
    return {
        "type": kind,
        "team": {"id": person.team.id, "domain": person.team.domain},
        "user": user,
        "api_app_id": workspace.APP_ID,
        "token": VERIFICATION_TOKEN,
        "enterprise": None,
        "is_enterprise_install": False,
    }


def _build_message_source(channel: Channel, message: Message) -> Payload:
    ephemeral = message.only_for is not None
    container = {
        "type": "message",
        "message_ts": message.ts,
        "channel_id": channel.id,
        "is_ephemeral": ephemeral,
    }
    source: Payload = {"container": container, "channel": {"id": channel.id, "name": channel_name(channel)}}
    # Slack does not include private messages in payloads.
    return source if ephemeral else source | {"message": message.payload()}
