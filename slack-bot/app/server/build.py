"""Create the parts of the bot from its settings."""

import logging
from dataclasses import dataclass

from flask import Flask
from slack_bolt import App, BoltContext, BoltResponse

from app.config import DEFAULT_DATABASE_URL, ConfigError, Settings
from app.delivery.send_queue import SendQueue
from app.delivery.slack_api import SlackApi
from app.events.receiver import EventReceiver
from app.oms_client import OmsClient
from app.server.health import Health
from app.server.routing import create_router
from app.server.web import create_web
from app.server.workspaces import WorkspaceRegistry
from app.services.dependencies import Services
from app.storage.connection import open_database
from app.storage.database import DatabaseError
from app.storage.encryption import KeyRing, derive_keys, parse_keys
from app.storage.storage import Storage, create_storage

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bot:
    """The parts of a running bot.

    `services` are those of the workspace whose token is in the environment. Without such a token, they only
    hold what all workspaces share.
    """

    settings: Settings
    services: Services
    bolt: App
    web: Flask
    health: Health
    workspaces: WorkspaceRegistry

    @property
    def receiver(self) -> EventReceiver:
        """The receiver of the workspace whose token is in the environment."""
        if self.workspaces.first is None:
            raise LookupError("No token is in the environment.")
        return self.workspaces.first.receiver

    def stop(self, within_seconds: float) -> None:
        """Finish the work of every workspace, and close the storage."""
        for workspace in self.workspaces.list_all():
            if workspace.services is not self.services:
                workspace.services.stop_workspace(within_seconds)
        self.services.stop(within_seconds)


def create_bot(settings: Settings, services: Services | None = None) -> Bot:
    """Create the bot without calling or listening to anything. Raises `ConfigError`."""
    services = services or create_services(settings)
    workspaces = WorkspaceRegistry(settings, services)
    bolt = create_router(settings, services, workspaces)
    bolt.error(refuse_unreadable)
    health = Health(services)
    web = create_web(settings, bolt, health, services, workspaces)
    return Bot(settings=settings, services=services, bolt=bolt, web=web, health=health, workspaces=workspaces)


def create_services(settings: Settings) -> Services:
    """Create the services of the workspace of the environment. Raises `ConfigError`."""
    keys = load_keys(settings)
    slack = SlackApi(settings)
    return Services(
        oms=OmsClient(settings, get_team=lambda: slack.installation.team),
        slack=slack,
        send_queue=SendQueue(),
        storage=open_storage(settings),
        keys=keys,
        trading_channel=settings.trading_channel,
        approvals_channel=settings.approvals_channel,
    )


def load_keys(settings: Settings) -> KeyRing:
    """Return the keys for stored secrets. Raises `ConfigError`.

    Without keys in the settings, which production with several workspaces refuses, one is derived.
    """
    if not settings.bot_encryption_keys:
        return KeyRing(derive_keys(settings.slack_signing_secret))
    try:
        return KeyRing(parse_keys(settings.bot_encryption_keys))
    except ValueError as error:
        raise ConfigError(f"BOT_ENCRYPTION_KEYS must be id:base64,…. {error}") from None


def open_storage(settings: Settings) -> Storage:
    """Open the database of the bot.

    If the default file cannot be opened, keep everything in memory. Raises `ConfigError` if a configured
    database cannot be opened.
    """
    try:
        return create_storage(open_database(settings.bot_database_url))
    except DatabaseError as error:
        if settings.bot_database_url != DEFAULT_DATABASE_URL:
            sentence = (
                "BOT_DATABASE_URL cannot be used: PostgreSQL must respond, or the file must be writable, and "
                "belong to one bot."
            )
            raise ConfigError(f"{sentence} ({error})") from None
        log.warning("Pending confirmations are not kept over a restart", extra={"fault": str(error)})
        return create_storage()


def refuse_unreadable(error: Exception, context: BoltContext) -> BoltResponse:
    """Respond with 400 to a request that Bolt cannot parse. Handlers catch their own exceptions."""
    extra = {"request_id": str(context.get("request_id", "")), "fault": type(error).__name__}
    log.warning("Signed request that cannot be read", extra=extra)
    return BoltResponse(status=400, body="malformed request")
