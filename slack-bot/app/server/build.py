"""Create the parts of the bot from its settings."""

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask
from slack_bolt import App, BoltContext, BoltRequest, BoltResponse
from slack_bolt.authorization import AuthorizeResult

from app.config import DEFAULT_DATABASE_URL, ConfigError, Settings
from app.delivery.confirmation_store import ConfirmationStore, open_confirmation_store
from app.delivery.event_store import EventStore, open_event_store
from app.delivery.outbox import Outbox
from app.delivery.slack_api import SlackApi
from app.events.receiver import EventReceiver
from app.events.registry import EventRegistry
from app.events.subscriptions import register_subscriptions
from app.handlers import register
from app.oms_client import OmsClient
from app.server.health import Health
from app.server.web import REQUEST_ID_HEADER, create_web, new_request_id
from app.services.dependencies import Services

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bot:
    """The parts of a running bot."""

    settings: Settings
    services: Services
    bolt: App
    web: Flask
    health: Health
    receiver: EventReceiver


def create_bot(settings: Settings, services: Services | None = None) -> Bot:
    """Create the bot without calling or listening to anything. Raises `ConfigError`."""
    services = services or Services(
        oms=OmsClient(settings),
        slack=SlackApi(settings),
        outbox=Outbox(),
        confirmations=open_store(settings),
        trading_channel=settings.trading_channel,
        handled_events=open_events(settings),
        approvals_channel=settings.approvals_channel,
    )
    bolt = create_bolt(settings, services)
    health = Health(services)
    registry = EventRegistry()
    register_subscriptions(registry)
    receiver = EventReceiver(services, registry)
    web = create_web(settings, bolt, health, receiver)
    return Bot(settings, services, bolt, web, health, receiver)


def open_store(settings: Settings) -> ConfirmationStore:
    """Open the store of confirmations.

    If the default file cannot be opened, keep them in memory. Raises `ConfigError` if a configured file
    cannot be opened.
    """
    try:
        return open_confirmation_store(settings.bot_database_url)
    except (sqlite3.Error, OSError) as error:
        if settings.bot_database_url != DEFAULT_DATABASE_URL:
            sentence = "BOT_DATABASE_URL cannot be used: the file must be writable, and belong to one bot."
            raise ConfigError(f"{sentence} ({error})") from None
        log.warning("Owed confirmations are not kept over a restart", extra={"fault": str(error)})
        return ConfirmationStore()


def open_events(settings: Settings) -> EventStore:
    """Open the store of handled events. If it cannot be opened, keep them in memory."""
    try:
        return open_event_store(settings.bot_database_url)
    except (sqlite3.Error, OSError) as error:
        log.warning("Handled events are not kept over a restart", extra={"fault": str(error)})
        return EventStore()


def create_bolt(settings: Settings, services: Services) -> App:
    """Return the Bolt app.

    Handlers run on the threads of the server, because the pool of Bolt has only five threads.
    """

    def authorize(enterprise_id: str | None, team_id: str | None) -> AuthorizeResult:
        # The bot serves one workspace. `handlers.installation_check` refuses requests of other workspaces.
        return AuthorizeResult(
            enterprise_id=enterprise_id, team_id=team_id, bot_token=settings.slack_bot_token
        )

    bolt = App(
        client=services.slack.client,
        logger=logging.getLogger("slack_bolt"),
        authorize=authorize,
        signing_secret=settings.slack_signing_secret,
        process_before_response=True,
        request_verification_enabled=False,  # server.web verifies the signature before parsing
        ignoring_self_events_enabled=False,  # the bot subscribes to no message events
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
    """Set the request id in Bolt's context. A request over the WebSocket gets a new one."""
    given = req.headers.get(REQUEST_ID_HEADER.lower())
    context["request_id"] = given[0] if given else new_request_id()
    return next()


def refuse_unreadable(error: Exception, context: BoltContext) -> BoltResponse:
    """Answer 400 to a request that Bolt cannot parse. Handlers catch their own exceptions."""
    extra = {"request_id": str(context.get("request_id", "")), "fault": type(error).__name__}
    log.warning("Signed request that cannot be read", extra=extra)
    return BoltResponse(status=400, body="malformed request")
