"""Type messages and slash commands."""

import re

from simulator import payloads, workspace
from simulator.errors import ActError, SlackError
from simulator.request_delivery import TIMEOUT, UNREACHABLE, Reply
from simulator.response_urls import ResponseUrl
from simulator.user_actions.actor import Actor, Outcome
from simulator.webapi import url_responses
from simulator.workspace import Channel, Team

MAX_TEXT_CHARACTERS = 4_000
MENTION = re.compile(r"(?<!\w)@([a-z]+)", re.IGNORECASE)
COMMAND_ERRORS = {TIMEOUT: "operation_timeout", UNREACHABLE: "dispatch_failed"}


def send_text(actor: Actor, reference: str, text: str, thread_ts: str | None = None) -> Outcome:
    """Type ``text`` into a channel or a thread: a slash command if it begins with a slash, else a message.

    Slack takes no slash commands in threads.
    """
    text = text.strip()
    if not 0 < len(text) <= MAX_TEXT_CHARACTERS:
        raise ActError(f"A message has between 1 and {MAX_TEXT_CHARACTERS} characters.")
    channel = actor.channel(reference)
    if channel.archived:
        raise ActError(f"{channel.name} is archived.")
    if thread_ts:
        actor.message(channel, thread_ts)
    if not text.startswith("/"):
        return _post_message(actor, channel, text, thread_ts)
    name = text.split(maxsplit=1)[0]
    if thread_ts:
        return _report_failure(
            actor,
            channel,
            name,
            "not_in_threads",
            f"{_escape_name(name)} is not supported in threads. Sorry!",
        )
    return _send_command(actor, channel, text)


def _post_message(actor: Actor, channel: Channel, text: str, thread_ts: str | None) -> Outcome:
    with actor.workspace_state.change():
        message = actor.workspace_state.messages.post(
            channel.id, actor.person.id, _format_mentions(actor, text), thread_ts=thread_ts
        )
    inner = message.payload() | {"channel": channel.id, "event_ts": message.ts}
    kinds = {"im": "im", "private": "group"}
    scope = "message." + kinds.get(channel.kind, "channels")
    team = _get_app_team(actor, channel)
    if channel.has_bot:
        actor.events.put_if_subscribed(
            scope, inner | {"channel_type": kinds.get(channel.kind, "channel")}, team
        )
    # Slack sends no mention of the app in a direct message with it.
    if channel.kind != "im" and f"<@{workspace.BOT_USER_ID}>" in message.text:
        actor.events.put_if_subscribed("app_mention", inner | {"type": "app_mention"}, team)
    return {"outcome": "said", "ts": message.ts}


def _get_app_team(actor: Actor, channel: Channel) -> Team:
    """Return the workspace of the app that gets a message of the channel."""
    if channel.kind == "im":
        return actor.workspace_state.installations.get_team(actor.person)
    return channel.team


def _format_mentions(actor: Actor, text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    by_name = {person.name: person.id for person in actor.workspace_state.people.values()}
    by_name[actor.workspace_state.manifest.bot_name.lower()] = workspace.BOT_USER_ID

    def mention(match: re.Match[str]) -> str:
        user = by_name.get(match[1].lower())
        return f"<@{user}>" if user else match[0]

    return MENTION.sub(mention, escaped)


def _send_command(actor: Actor, channel: Channel, text: str) -> Outcome:
    name = text.split(maxsplit=1)[0]
    if name == "/invite":
        return _invite_bot(actor, channel)
    names = {command.command for command in actor.workspace_state.manifest.commands}
    if name not in names or not actor.workspace_state.installations.is_installed(channel.team):
        return _report_failure(
            actor, channel, name, "", f"`{_escape_name(name)}` is not a command that this workspace knows."
        )
    with actor.workspace_state.change():
        path = actor.workspace_state.response_urls.issue(channel.id, actor.person.id)
        trigger = actor.workspace_state.triggers.issue(actor.person.id, channel.id)
    request = payloads.command(actor.person, channel, text, trigger, actor.workspace_state.base_url + path)
    reply = actor.request_sender.send(request)
    if not reply.ok:
        error = COMMAND_ERRORS.get(reply.failure, "app_http_service_error")
        return _report_failure(actor, channel, name, error, f'{name} failed with the error "{error}"')
    return _apply_response(actor, actor.workspace_state.response_urls.find(path), reply)


def _invite_bot(actor: Actor, channel: Channel) -> Outcome:
    with actor.workspace_state.change():
        channel.members.add(workspace.BOT_USER_ID)
        joined = f"<@{workspace.BOT_USER_ID}> joined the channel."
        actor.workspace_state.messages.post(channel.id, workspace.SYSTEM_USER_ID, joined)
    return {"outcome": "invited"}


def _report_failure(actor: Actor, channel: Channel, name: str, error: str, sentence: str) -> Outcome:
    with actor.workspace_state.change():
        actor.post_note(channel, sentence)
    return {"outcome": "failed", "command": name, "error": error or "unknown_command", "sentence": sentence}


def _apply_response(actor: Actor, url: ResponseUrl, reply: Reply) -> Outcome:
    body = reply.json() if reply.headers.get("content-type", "").startswith("application/json") else None
    if body is None and reply.body.strip():
        body = {"text": reply.body.decode(errors="replace")}
    outcome: Outcome = {"outcome": "answered", "delivery": reply.delivery_id}
    if isinstance(body, dict) and (body.get("text") or body.get("blocks")):
        with actor.workspace_state.change():
            try:
                outcome["ts"] = url_responses.post(actor.workspace_state, url, body).ts
            except SlackError as error:
                actor.record_problem(reply, f"{error.code} {error.extra or ''}".strip())
    return outcome


def _escape_name(name: str) -> str:
    return name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
