"""The dependencies of the services, created once at start."""

import secrets
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from app.delivery.banner_store import BannerStore
from app.delivery.confirmation_store import ConfirmationStore
from app.delivery.event_store import EventStore
from app.delivery.file_sender import FileSender
from app.delivery.message_sender import MessageSender
from app.delivery.notification_store import NotificationStore
from app.delivery.pending_banners import PendingBannerStore
from app.delivery.pending_orders import PendingOrderStore
from app.delivery.posted_messages import PostedMessageStore
from app.delivery.reply_sender import ReplySender
from app.delivery.response_urls import ResponseUrls
from app.delivery.send_queue import SendQueue
from app.delivery.slack_api import SlackApi
from app.delivery.status_store import ReportedStatusStore
from app.delivery.viewer_store import ViewerStore
from app.forms.day_change import DayBar
from app.forms.price import Quote
from app.oms_client import OmsClient
from app.oms_client.orders import OrderClient
from app.oms_client.slack_settings import SlackSettingsClient
from app.services.state.notification_pace import NotificationPace
from app.services.state.open_forms import OpenForms
from app.services.state.overview_viewers import OverviewViewers
from app.services.state.preference_cache import PreferenceCache
from app.services.state.queued_keys import QueuedKeys
from app.services.state.shared_ids import SharedIds
from app.services.state.slack_settings_cache import SlackSettingsCache
from app.services.state.submission_registry import RecentIds, SubmissionRegistry
from app.services.state.timed_cache import TimedCache
from app.services.state.workers import Workers
from app.storage.encryption import KEY_BYTES, KeyRing
from app.storage.installations import InstallationStore
from app.storage.storage import Storage, create_storage
from app.storage.webhook_secrets import WebhookSecrets

QUOTE_CACHE_SECONDS = 1.0  # in lists of symbols while a person types
DAY_BAR_CACHE_SECONDS = 30.0
OVERVIEW_PACE_SECONDS = 5.0  # between updates of a person's overview, each of which reads many portfolios


@dataclass(frozen=True)
class Waits:
    """Timeouts and intervals in seconds."""

    submission: float = 1.0  # Slack expects a response within 3
    suggestions: float = 2.3
    redraw_after: float = 0.4  # Slack must have displayed "Placing…" before it is replaced
    typing_pause: float = 1.0  # pause in typing before a form is redrawn
    lookup_every: float = 1.0
    lookup_for: float = 30.0
    recovery_every: float = 5.0
    claim_every: float = 1.0  # both services often start together
    register_every: float = 600.0  # for the events of the OMS
    register_again: float = 5.0  # after a failure
    order_refresh_every: float = 5.0
    notifications_every: float = 1.0


def create_temporary_keys() -> KeyRing:
    """Return a key for secrets that are only kept in memory."""
    return KeyRing({"temporary": secrets.token_bytes(KEY_BYTES)})


@dataclass(frozen=True)
class Services:
    """Clients, stores, and a thread pool for each kind of work, so that none blocks another.

    The services of a workspace use its bot token and its OMS key only. Workspaces share the storage, the
    thread pools and `stopping`.
    """

    oms: OmsClient
    slack: SlackApi
    send_queue: SendQueue
    waits: Waits = Waits()
    urls: ResponseUrls = field(default_factory=ResponseUrls)
    submissions: SubmissionRegistry = field(default_factory=SubmissionRegistry)
    storage: Storage = field(default_factory=create_storage)
    keys: KeyRing = field(default_factory=create_temporary_keys)
    trading_channel: str = ""  # the channel that sees when trading is stopped outside a channel
    overview_viewers: OverviewViewers = field(default_factory=OverviewViewers)
    overview_queue: SendQueue = field(
        default_factory=lambda: SendQueue(pace_seconds=OVERVIEW_PACE_SECONDS, is_background=True)
    )
    known_members: RecentIds = field(default_factory=RecentIds)  # people of the app's workspace
    known_portfolios: RecentIds = field(default_factory=RecentIds)  # by person and name key
    form_workers: Workers = field(
        default_factory=lambda: Workers("opening", threads=16, waiting=64, is_background=True)
    )
    trade_workers: Workers = field(default_factory=lambda: Workers("placing", threads=64, waiting=0))
    suggestion_workers: Workers = field(default_factory=lambda: Workers("suggesting", threads=16, waiting=64))
    admission_workers: Workers = field(
        default_factory=lambda: Workers("admitting", threads=8, waiting=64, is_background=True)
    )
    price_workers: Workers = field(
        default_factory=lambda: Workers("pricing", threads=32, waiting=64, is_background=True)
    )
    query_workers: Workers = field(
        default_factory=lambda: Workers("queries", threads=16, waiting=64, is_background=True)
    )
    export_workers: Workers = field(
        default_factory=lambda: Workers("exporting", threads=2, waiting=8, is_background=True)
    )
    status_workers: Workers = field(
        default_factory=lambda: Workers("reporting", threads=1, waiting=5000, is_background=True)
    )
    health_workers: Workers = field(default_factory=lambda: Workers("probing", threads=2, waiting=2))
    stopping: threading.Event = field(default_factory=threading.Event)
    notification_pace: NotificationPace = field(default_factory=NotificationPace)
    quotes: TimedCache[Quote | None] = field(default_factory=lambda: TimedCache(QUOTE_CACHE_SECONDS))
    day_bars: TimedCache[list[DayBar]] = field(default_factory=lambda: TimedCache(DAY_BAR_CACHE_SECONDS))
    preferences: PreferenceCache = field(default_factory=PreferenceCache)
    groups_changed: threading.Event = field(default_factory=threading.Event)  # user groups, in Slack
    queued_order_work: QueuedKeys = field(default_factory=QueuedKeys)
    approvals_channel: str = ""  # empty: requests for approval go to the channel of the order

    @property
    def orders(self) -> OrderClient:
        """Create a client of the order routes."""
        return OrderClient(self.oms)

    @property
    def team(self) -> str:
        """The id of the workspace, empty as long as Slack has not reported it."""
        return self.slack.installation.team

    @cached_property
    def confirmations(self) -> ConfirmationStore:
        """The confirmations to be sent."""
        return ConfirmationStore(self.storage)

    @cached_property
    def handled_events(self) -> EventStore:
        """The events of the OMS that were handled for the workspace."""
        return EventStore(self.storage, lambda: self.team)

    @cached_property
    def posted_messages(self) -> PostedMessageStore:
        """The messages that the bot posted in the workspace."""
        return PostedMessageStore(self.storage, lambda: self.team)

    @cached_property
    def pending_orders(self) -> PendingOrderStore:
        """The orders whose message is not posted yet."""
        return PendingOrderStore(self.storage)

    @cached_property
    def open_forms(self) -> OpenForms:
        """The forms that people are typing in."""
        return OpenForms()

    @cached_property
    def recent_deliveries(self) -> SharedIds:
        """The deliveries of Slack that a bot has claimed."""
        return SharedIds(self.storage, lambda: self.team)

    @cached_property
    def slack_settings(self) -> SlackSettingsCache:
        """The channels for trading and the roles of user groups."""
        return SlackSettingsCache(SlackSettingsClient(self.oms))

    @cached_property
    def banners(self) -> BannerStore:
        """The banners of stopped trading."""
        return BannerStore(self.storage, lambda: self.team)

    @cached_property
    def pending_banners(self) -> PendingBannerStore:
        """The banners that are not posted yet."""
        return PendingBannerStore(self.storage, lambda: self.team)

    @cached_property
    def reported_statuses(self) -> ReportedStatusStore:
        """The status of people in Slack, as the bots reported it."""
        return ReportedStatusStore(self.storage, lambda: self.team)

    @cached_property
    def stored_viewers(self) -> ViewerStore:
        """The people who look at the overview, at any bot."""
        return ViewerStore(self.storage, lambda: self.team)

    @cached_property
    def installations(self) -> InstallationStore:
        """The workspaces where the app is installed."""
        return InstallationStore(self.storage.database, self.keys)

    @cached_property
    def webhook_secrets(self) -> WebhookSecrets:
        """The secrets of the webhooks of the OMS."""
        return WebhookSecrets(self.storage, self.keys)

    @cached_property
    def notifications(self) -> NotificationStore:
        """The notifications of the people and channels of the workspace."""
        return NotificationStore(self.storage, lambda: self.team)

    @property
    def message_sender(self) -> MessageSender:
        """Create a sender of messages."""
        return MessageSender(self.slack, self.send_queue, self.urls)

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.fromtimestamp(time.time(), UTC)

    @property
    def reply_sender(self) -> ReplySender:
        """Create a sender of replies."""
        return ReplySender(self.slack, self.send_queue)

    @property
    def file_sender(self) -> FileSender:
        """Create a sender of files."""
        return FileSender(self.slack)

    def create_for_workspace(self, oms: OmsClient, slack: SlackApi) -> "Services":
        """Return the services of another workspace, which share the storage and the thread pools."""
        return Services(
            oms=oms,
            slack=slack,
            send_queue=SendQueue(pace_seconds=self.send_queue.pace_seconds),
            waits=self.waits,
            storage=self.storage,
            keys=self.keys,
            form_workers=self.form_workers,
            trade_workers=self.trade_workers,
            suggestion_workers=self.suggestion_workers,
            admission_workers=self.admission_workers,
            price_workers=self.price_workers,
            query_workers=self.query_workers,
            export_workers=self.export_workers,
            status_workers=self.status_workers,
            health_workers=self.health_workers,
        )

    def stop(self, within_seconds: float) -> None:
        """Start no new work, send the queued messages, and abandon the rest after the timeout."""
        self.stop_workspace(within_seconds)
        self.stop_workers()
        self.storage.close()

    def stop_workspace(self, within_seconds: float) -> None:
        """Stop the queues and threads that only this workspace uses."""
        self.stopping.set()
        self.groups_changed.set()  # wakes the thread that waits for it
        self.send_queue.close(within_seconds)
        self.overview_queue.close(0.0)
        self.oms.close()

    def stop_workers(self, *, wait: bool = False) -> None:
        """Stop every thread pool. With `wait`, return after the running work has ended."""
        all_workers = (
            self.form_workers,
            self.admission_workers,
            self.trade_workers,
            self.suggestion_workers,
            self.price_workers,
            self.query_workers,
            self.export_workers,
            self.status_workers,
            self.health_workers,
        )
        for workers in all_workers:
            workers.stop(wait=wait)
