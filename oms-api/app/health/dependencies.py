"""Dependencies of the routes of health checks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from sqlalchemy import Connection

from app.clock import Now
from app.database import Readers
from app.duties.rules.schedule import DutyReport
from app.health.rules import Component
from app.health.service import ValuedPortfolio
from app.metrics import Metrics
from app.rate_limit import RateLimits
from app.signals.service.redis_channels.channel_state import ChannelState
from app.wire.dependencies import part


@dataclass(frozen=True, slots=True)
class HealthComponents:
    """The components that are checked.

    `is_current` returns whether a database has the schema of this version, `row_security`
    describes its row-level security, and `find_file_problem` states why its file cannot be written.
    `describe_connections` returns the components of a tenant's connections to brokers.
    `list_portfolio_values` returns those of METRICS_PORTFOLIOS. `signal_channel` has why no signals arrive
    over Redis. `has_worker` is true if only `python -m app.worker` or Celery runs the duties,
    `uses_sandbox` if STRATEGY_SANDBOX is on.
    """

    readers: Readers
    is_current: Callable[[Connection], bool]
    row_security: Callable[[Connection], str]
    writer_is_alive: Callable[[], bool]
    metrics: Metrics
    now: Now
    rate_limits: Callable[[], RateLimits]
    find_file_problem: Callable[[], str | None]
    report_duties: Callable[[Connection], list[DutyReport]]
    describe_feed: Callable[[], Component]
    describe_webhooks: Callable[[Connection], Component]
    describe_brokers: Callable[[Connection], Component]
    describe_alerts: Callable[[Sequence[DutyReport]], Component]
    describe_connections: Callable[[Connection, int], dict[str, Component]]
    list_portfolio_values: Callable[[Connection], Sequence[ValuedPortfolio]]
    signal_channel: ChannelState
    has_redis: bool
    has_worker: bool
    uses_sandbox: bool


HealthComponentsDep = Annotated[HealthComponents, part("health_components")]
