"""The dependencies of the services, created once at start."""

import threading
from dataclasses import dataclass, field

from app.delivery.confirmation_store import ConfirmationStore
from app.delivery.event_store import EventStore
from app.delivery.message_sender import MessageSender
from app.delivery.outbox import Outbox
from app.delivery.response_urls import ResponseUrls
from app.delivery.slack_api import SlackApi
from app.oms_client import OmsClient
from app.services.submission_registry import RecentIds, SubmissionRegistry
from app.services.workers import Workers


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
    known_portfolios: RecentIds = field(default_factory=RecentIds)  # by person and name key
    form_workers: Workers = field(default_factory=lambda: Workers("opening", threads=16, waiting=64))
    trade_workers: Workers = field(default_factory=lambda: Workers("placing", threads=64, waiting=0))
    suggestion_workers: Workers = field(default_factory=lambda: Workers("suggesting", threads=16, waiting=16))
    admission_workers: Workers = field(default_factory=lambda: Workers("admitting", threads=8, waiting=32))
    price_workers: Workers = field(default_factory=lambda: Workers("pricing", threads=32, waiting=64))
    health_workers: Workers = field(default_factory=lambda: Workers("probing", threads=2, waiting=2))
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def message_sender(self) -> MessageSender:
        """Create a sender of messages."""
        return MessageSender(self.slack, self.outbox, self.urls)

    def stop(self, within_seconds: float) -> None:
        """Start no new work, send the queued messages, and abandon the rest after the timeout."""
        self.stopping.set()
        self.outbox.close(within_seconds)
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
            self.health_workers,
        )
        for workers in all_workers:
            workers.stop(wait=wait)
