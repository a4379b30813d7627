"""Wiring: settings become a desk, a Bolt app and a Flask app."""

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask
from slack_bolt import App, BoltContext, BoltRequest, BoltResponse
from slack_bolt.authorization import AuthorizeResult

from app.config import DEFAULT_DATABASE_URL, ConfigError, Settings
from app.delivery.confirmation_store import ConfirmationStore, open_confirmation_store
from app.delivery.outbox import Outbox
from app.delivery.slack_api import SlackApi
from app.handlers import register
from app.oms_client import OmsClient
from app.server.health import Health
from app.server.web import REQUEST_ID_HEADER, create_web, new_request_id
from app.services.dependencies import Services

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bot:
    """The running parts."""

    settings: Settings
    services: Services
    bolt: App
    web: Flask
    health: Health


def create_bot(settings: Settings, services: Services | None = None) -> Bot:
    """Wire the bot; nothing is called and nothing listens yet. Raises `ConfigError`."""
    services = services or Services(
        oms=OmsClient(settings),
        slack=SlackApi(settings),
        outbox=Outbox(),
        confirmations=open_store(settings),
    )
    bolt = create_bolt(settings, services)
    health = Health(services)
    return Bot(settings, services, bolt, create_web(settings, bolt, health), health)


def open_store(settings: Settings) -> ConfirmationStore:
    """Open the file of owed confirmations; without one that was asked for, they are kept in memory."""
    try:
        return open_confirmation_store(settings.bot_database_url)
    except (sqlite3.Error, OSError) as error:
        if settings.bot_database_url != DEFAULT_DATABASE_URL:
            sentence = "BOT_DATABASE_URL cannot be used: the file must be writable, and belong to one bot."
            raise ConfigError(f"{sentence} ({error})") from None
        log.warning("Owed confirmations are not kept over a restart", extra={"fault": str(error)})
        return ConfirmationStore()


def create_bolt(settings: Settings, services: Services) -> App:
    """Return the Bolt app. Handlers run on the server's own threads: Bolt's pool has five, and starves."""

    def authorize(enterprise_id: str | None, team_id: str | None) -> AuthorizeResult:
        # One workspace, one token. `handlers.installation_check` refuses the requests of every other one.
        return AuthorizeResult(
            enterprise_id=enterprise_id, team_id=team_id, bot_token=settings.slack_bot_token
        )

    bolt = App(
        client=services.slack.client,
        logger=logging.getLogger("slack_bolt"),
        authorize=authorize,
        signing_secret=settings.slack_signing_secret,
        process_before_response=True,
        request_verification_enabled=False,  # server.web has done it, before anything was parsed
        ignoring_self_events_enabled=False,  # no message events are subscribed to
        attaching_function_token_enabled=False,
    )
    bolt.use(set_request_id)
    bolt.error(refuse_unreadable)
    register(bolt, services)
    return bolt


def set_request_id(
    req: BoltRequest,
    context: BoltContext,
    next: Callable[[], BoltResponse],
) -> BoltResponse:
    """Put the delivery's id into Bolt's context; one that came over a WebSocket gets it here."""
    given = req.headers.get(REQUEST_ID_HEADER.lower())
    context["request_id"] = given[0] if given else new_request_id()
    return next()


def refuse_unreadable(error: Exception, context: BoltContext) -> BoltResponse:
    """Answer 400 where Bolt could not make out what was delivered; handlers are guarded."""
    extra = {"request_id": str(context.get("request_id", "")), "fault": type(error).__name__}
    log.warning("Signed request that cannot be read", extra=extra)
    return BoltResponse(status=400, body="malformed request")
