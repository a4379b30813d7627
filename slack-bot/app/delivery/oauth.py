"""Install the app in a workspace: exchange the code of Slack's consent page for a bot token."""

import logging
import time
from typing import Any

from slack_sdk import WebClient

from app.config import Settings, is_loopback
from app.delivery.slack_api import TIMEOUT_SECONDS, call_slack
from app.errors import SlackError, SlackRefused
from app.storage.installations import InstalledWorkspace

log = logging.getLogger(__name__)

OAUTH_TIMEOUT_SECONDS = 3 * TIMEOUT_SECONDS  # a person waits for a page, not for a trigger


class OrganizationInstall(Exception):
    """Raised when the app was installed for a whole organization.

    One person would have several identities there.
    """


def exchange_code(settings: Settings, code: str) -> InstalledWorkspace:
    """Return the workspace that consented. Raises `SlackError` or `OrganizationInstall`."""
    client = WebClient(base_url=settings.slack_api_url, timeout=OAUTH_TIMEOUT_SECONDS, retry_handlers=[])
    if is_loopback(settings.slack_api_url):
        client.proxy = None
    response = call_slack(
        "oauth.v2.access",
        lambda: client.oauth_v2_access(
            client_id=settings.slack_client_id, client_secret=settings.slack_client_secret, code=code
        ),
    )
    token = str(response.get("access_token") or "")
    team = _get_id(response.get("team"))
    if response.get("is_enterprise_install") is True:
        _revoke_token(client, token)
        raise OrganizationInstall
    if not (team and token.startswith("xoxb-")):
        raise SlackRefused("oauth.v2.access", "no_bot_token")
    return InstalledWorkspace(
        team=team,
        enterprise=_get_id(response.get("enterprise")),
        name=str((response.get("team") or {}).get("name") or ""),
        bot_token=token,
        scopes=str(response.get("scope") or ""),
        installed_at=float(int(time.time())),  # Slack's events have whole seconds
    )


def _get_id(part: Any) -> str:
    return str(part.get("id") or "") if isinstance(part, dict) else ""


def _revoke_token(client: WebClient, token: str) -> None:
    """Return a token that the bot must not keep."""
    try:
        call_slack("auth.revoke", lambda: client.auth_revoke(token=token))
    except SlackError as error:
        log.warning("Token of an organization not revoked", extra={"fault": str(error)})
