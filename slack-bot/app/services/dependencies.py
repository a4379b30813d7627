"""The dependencies of the services, created once at start."""

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

from app.delivery.confirmation_store import ConfirmationStore
from app.delivery.event_store import EventStore
from app.delivery.file_sender import FileSender
from app.delivery.message_sender import MessageSender
from app.delivery.notification_store import NotificationStore
from app.delivery.order_messages import OrderMessageStore
from app.delivery.outbox import Outbox
from app.delivery.pending_orders import PendingOrderStore
from app.delivery.reply_sender import ReplySender
from app.delivery.response_urls import ResponseUrls
from app.delivery.slack_api import SlackApi
from app.oms_client import OmsClient
from app.oms_client.orders import OrderClient
from app.services.banner_registry import BannerRegistry
from app.services.notification_pace import NotificationPace
from app.services.overview_viewers import OverviewViewers
from app.services.preference_cache import PreferenceCache
from app.services.queued_keys import QueuedKeys
from app.services.submission_registry import RecentIds, SubmissionRegistry
from app.services.workers import Workers

OVERVIEW_PACE_SECONDS = 5.0  # between updates of a person's overview, each of which reads many portfolios


@dataclass(frozen=True)
class Waits:
    """Timeouts and intervals in seconds."""

    submission: float = 1.0  # Slack expects an answer within 3
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


@dataclass(frozen=True)
class Services:
    """Clients, stores, and a thread pool for each kind of work, so that none blocks another."""

    oms: OmsClient
    slack: SlackApi
    outbox: Outbox
    waits: Waits = Waits()
    urls: ResponseUrls = field(default_factory=ResponseUrls)
    submissions: SubmissionRegistry = field(default_factory=SubmissionRegistry)
    confirmations: ConfirmationStore = field(default_factory=ConfirmationStore)
    handled_events: EventStore = field(default_factory=EventStore)
    recent_deliveries: RecentIds = field(default_factory=RecentIds)
    trading_channel: str = ""  # the channel that sees when trading is stopped outside a channel
    banners: BannerRegistry = field(default_factory=BannerRegistry)
    overview_viewers: OverviewViewers = field(default_factory=OverviewViewers)
    overview_outbox: Outbox = field(default_factory=lambda: Outbox(pace_seconds=OVERVIEW_PACE_SECONDS))
    known_members: RecentIds = field(default_factory=RecentIds)  # people of the app's workspace
    known_portfolios: RecentIds = field(default_factory=RecentIds)  # by person and name key
    form_workers: Workers = field(default_factory=lambda: Workers("opening", threads=16, waiting=64))
    trade_workers: Workers = field(default_factory=lambda: Workers("placing", threads=64, waiting=0))
    suggestion_workers: Workers = field(default_factory=lambda: Workers("suggesting", threads=16, waiting=16))
    admission_workers: Workers = field(default_factory=lambda: Workers("admitting", threads=8, waiting=32))
    price_workers: Workers = field(default_factory=lambda: Workers("pricing", threads=32, waiting=64))
    query_workers: Workers = field(default_factory=lambda: Workers("answering", threads=16, waiting=64))
    export_workers: Workers = field(default_factory=lambda: Workers("exporting", threads=2, waiting=8))
    health_workers: Workers = field(default_factory=lambda: Workers("probing", threads=2, waiting=2))
    stopping: threading.Event = field(default_factory=threading.Event)
    notification_pace: NotificationPace = field(default_factory=NotificationPace)
    preferences: PreferenceCache = field(default_factory=PreferenceCache)
    queued_order_work: QueuedKeys = field(default_factory=QueuedKeys)
    approvals_channel: str = ""  # empty: requests for approval go to the channel of the order

    @property
    def orders(self) -> OrderClient:
        """Create a client of the order routes."""
        return OrderClient(self.oms)

    @cached_property
    def order_messages(self) -> OrderMessageStore:
        """The messages of orders, in the file of the confirmations."""
        return OrderMessageStore(self.confirmations)

    @cached_property
    def pending_orders(self) -> PendingOrderStore:
        """The orders whose message is not posted yet, in the file of the confirmations."""
        return PendingOrderStore(self.confirmations)

    @cached_property
    def notifications(self) -> NotificationStore:
        """What people and channels are to be told, in the file of the confirmations."""
        return NotificationStore(self.confirmations)

    @property
    def message_sender(self) -> MessageSender:
        """Create a sender of messages."""
        return MessageSender(self.slack, self.outbox, self.urls)

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.fromtimestamp(time.time(), UTC)

    @property
    def reply_sender(self) -> ReplySender:
        """Create a sender of replies."""
        return ReplySender(self.slack, self.outbox)

    @property
    def file_sender(self) -> FileSender:
        """Create a sender of files."""
        return FileSender(self.slack)

    def stop(self, within_seconds: float) -> None:
        """Start no new work, send the queued messages, and abandon the rest after the timeout."""
        self.stopping.set()
        self.outbox.close(within_seconds)
        self.overview_outbox.close(0.0)
        self.stop_workers()
        self.oms.close()
        self.confirmations.close()
        self.handled_events.close()

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
            self.health_workers,
        )
        for workers in all_workers:
            workers.stop(wait=wait)
