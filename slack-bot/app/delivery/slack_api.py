"""Call Slack. Other modules call it only for installations, files and replies.

Each call that posts is attempted once: the retries of the SDK posted messages twice.
"""

import http.client
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse
from slack_sdk.webhook import WebhookClient

from app.blocks.messages import Message
from app.blocks.text import Json, truncate
from app.config import Settings, is_loopback
from app.delivery.installation import Installation, InstallationCache
from app.delivery.scopes import GrantedScopes, list_manifest_scopes
from app.errors import SlackError, SlackRateLimited, SlackRefused, SlackUnreachable
from app.request_priority import run_outside

log = logging.getLogger(__name__)

TIMEOUT_SECONDS = 2  # a trigger is valid for 3
NO_RESPONSE_ERRORS = (OSError, http.client.HTTPException, SlackClientError, ValueError)
MAX_TEXT_CHARACTERS = 3000
CONFIRMATION = "trade_confirmed"
ORDER_MESSAGE = "order_message"
APPROVAL_REQUEST = "approval_request"
MAX_HISTORY_MESSAGES = 200
MEMBERS_PER_PAGE = 200
MAX_RETRY_SECONDS = 5.0  # a person waits for the result


@dataclass(frozen=True)
class OpenedView:
    """A form that Slack opened.

    `team` is the workspace of the app. `hash` is the hash of the view. Each is empty if Slack sent none.
    """

    view_id: str
    team: str
    hash: str = ""


class SlackApi:
    """The Web API methods that the bot uses.

    Each raises `SlackRefused`, `SlackRateLimited` or `SlackUnreachable`.
    """

    def __init__(self, settings: Settings, timeout_seconds: int = TIMEOUT_SECONDS):
        self._timeout = timeout_seconds
        self.client = WebClient(
            token=settings.slack_bot_token,
            base_url=settings.slack_api_url,
            timeout=timeout_seconds,
            retry_handlers=[],
        )
        if is_loopback(settings.slack_api_url):
            self.client.proxy = None
        self.scopes = GrantedScopes(list_manifest_scopes())
        self.installation = InstallationCache(self._load_installation)

    def open_view(self, trigger_id: str, view: Json) -> OpenedView:
        """Open a form."""
        response = call_slack("views.open", lambda: self.client.views_open(trigger_id=trigger_id, view=view))
        opened = response["view"]
        team = opened.get("app_installed_team_id")
        view_hash = opened.get("hash")
        return OpenedView(str(opened["id"]), str(team or ""), str(view_hash or ""))

    def update_view(self, view_id: str, view: Json, view_hash: str | None = None) -> str:
        """Replace the content of an open view, and return its new hash.

        If `view_hash` is given, Slack refuses the update when the view has another hash.
        """
        expected = {"hash": view_hash} if view_hash else {}
        response = repeat_call(
            "views.update", lambda: self.client.views_update(view_id=view_id, view=view, **expected)
        )
        return str((response.get("view") or {}).get("hash", ""))

    def post(self, channel: str, message: Message, thread_ts: str | None = None) -> str:
        """Post to a channel or a thread, and return the timestamp, which identifies the message.

        After `SlackUnreachable`, the message may have been posted. The metadata of a confirmation contains
        the id of the trade or the order, so that a repeat after a crash can be recognized.
        """
        response = call_slack(
            "chat.postMessage",
            lambda: self.client.chat_postMessage(
                channel=channel,
                text=truncate(message.text, MAX_TEXT_CHARACTERS),
                blocks=list(message.blocks),
                thread_ts=thread_ts,
                unfurl_links=False,
                unfurl_media=False,
                metadata=_build_metadata(message),
            ),
        )
        return str(response.get("ts") or "")

    def update_message(self, channel: str, ts: str, message: Message) -> None:
        """Replace the content of a message of the bot."""
        call_slack(
            "chat.update",
            lambda: self.client.chat_update(
                channel=channel,
                ts=ts,
                text=truncate(message.text, MAX_TEXT_CHARACTERS),
                blocks=list(message.blocks),
                metadata=_build_metadata(message),
            ),
        )

    def edit_message(self, channel: str, ts: str, message: Message) -> bool:
        """Replace the content of a message. Return False if Slack refuses, as when the message was deleted.

        A refusal of the token and every other failure raises.
        """
        try:
            self.update_message(channel, ts, message)
        except SlackRefused as error:
            if error.is_about_token:
                raise
            log.info("Message not edited", extra={"fault": str(error)})
            return False
        return True

    def find_posted(self, channel: str, message: Message, since: float) -> str:
        """Return the timestamp of the bot's message with the same metadata, posted at `since` or later.

        `since` is in Unix seconds. Return an empty text if there is none among the newest messages, or if
        Slack does not return the messages of the channel.
        """
        metadata = _build_metadata(message)
        try:
            response = call_slack(
                "conversations.history",
                lambda: self.client.conversations_history(
                    channel=channel,
                    oldest=str(int(since)),
                    include_all_metadata=True,
                    limit=MAX_HISTORY_MESSAGES,
                ),
            )
        except SlackError:
            return ""
        posted = (item for item in response.get("messages") or [] if item.get("metadata") == metadata)
        return next((str(message.get("ts")) for message in posted if metadata), "")

    def list_group_members(self, group: str) -> list[str]:
        """Return the user ids of the members of a user group."""
        response = call_slack(
            "usergroups.users.list", lambda: self.client.usergroups_users_list(usergroup=group)
        )
        return [str(user) for user in response.get("users") or []]

    def list_members(self, cursor: str = "") -> tuple[list[Json], str]:
        """Return a page of the people of the workspace, also deactivated ones, and the next cursor."""
        response = call_slack(
            "users.list", lambda: self.client.users_list(limit=MEMBERS_PER_PAGE, cursor=cursor or None)
        )
        next_cursor = (response.get("response_metadata") or {}).get("next_cursor")
        return [member for member in response.get("members") or [] if isinstance(member, dict)], str(
            next_cursor or ""
        )

    def open_direct_channel(self, user: str) -> str:
        """Return the channel of the bot's direct messages with a person."""
        response = call_slack("conversations.open", lambda: self.client.conversations_open(users=[user]))
        return str(response["channel"]["id"])

    def identify(self) -> None:
        """Verify the bot token, and cache where the app is installed. Without a token, only call Slack."""
        if self.client.token:
            self.installation.refresh()
        else:
            call_slack("api.test", self.client.api_test)

    def respond(self, url: str, message: Message, *, in_channel: bool) -> None:
        """Post by a response URL.

        The SDK does not raise for an expired URL. This method checks the status instead.
        """
        webhook = WebhookClient(url, timeout=self._timeout, retry_handlers=[])
        if is_loopback(url):
            webhook.proxy = None
        body = {
            "response_type": "in_channel" if in_channel else "ephemeral",
            "replace_original": False,
            "text": truncate(message.text, MAX_TEXT_CHARACTERS),
            "blocks": list(message.blocks),
        }
        try:
            response = webhook.send_dict(body)
        except NO_RESPONSE_ERRORS as error:
            raise SlackUnreachable(f"response_url: {type(error).__name__}") from None
        if response.status_code == 429:
            raise SlackRateLimited("response_url", _retry_after(response.headers))
        if response.status_code != 200:
            raise SlackRefused("response_url", str(response.status_code))
        if response.body.replace(" ", "").startswith('{"ok":false'):
            raise SlackRefused("response_url", "not_ok")

    def _load_installation(self) -> Installation:
        response = call_slack("auth.test", self.client.auth_test)
        self.scopes.update(response.headers)
        return Installation(
            team_id=str(response.get("team_id") or ""),
            enterprise_id=str(response.get("enterprise_id") or ""),
            is_org_wide=response.get("is_enterprise_install") is True,
            name=str(response.get("team") or ""),
            scopes=_read_scopes(response),
        )


def _read_scopes(response: SlackResponse) -> str:
    headers = {name.lower(): value for name, value in dict(response.headers).items()}
    return str(headers.get("x-oauth-scopes") or "")


def _build_metadata(message: Message) -> Json | None:
    if message.trade_id:
        return {"event_type": CONFIRMATION, "event_payload": {"trade_id": message.trade_id}}
    if message.order_id:
        return {"event_type": ORDER_MESSAGE, "event_payload": {"order_id": message.order_id}}
    if message.approval_id:
        return {"event_type": APPROVAL_REQUEST, "event_payload": {"order_id": message.approval_id}}
    return None


def call_slack(method: str, call: Callable[[], SlackResponse]) -> SlackResponse:
    """Call a method of the Web API. Raises `SlackRefused`, `SlackRateLimited` or `SlackUnreachable`."""
    try:
        with run_outside():
            return call()
    except SlackApiError as error:
        response: Any = error.response
        status = getattr(response, "status_code", 200)
        if status == 429:
            raise SlackRateLimited(method, _retry_after(response.headers)) from None
        if status >= 500:
            raise SlackUnreachable(f"{method}: status {status}") from None
        raise SlackRefused(method, str(response.get("error", "unknown_error"))) from None
    except NO_RESPONSE_ERRORS as error:
        raise SlackUnreachable(f"{method}: {type(error).__name__}") from None


def repeat_call(method: str, call: Callable[[], SlackResponse]) -> SlackResponse:
    """Call a method that may be repeated without harm: once more if Slack does not respond or is busy."""
    try:
        return call_slack(method, call)
    except SlackUnreachable:
        pass
    except SlackRateLimited as limit:
        if limit.retry_after_seconds > MAX_RETRY_SECONDS:
            raise
        with run_outside():
            time.sleep(limit.retry_after_seconds)
    return call_slack(method, call)


def _retry_after(headers: Any) -> float:
    response = {str(name).lower(): value for name, value in dict(headers).items()}.get("retry-after", "1")
    text = str(response[0] if isinstance(response, list) else response)
    return float(text) if text.isascii() and text.isdigit() else 1.0
