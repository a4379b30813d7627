"""Dependencies of the routes of health checks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from sqlalchemy import Connection

from app.clock import Now
from app.database import Readers
from app.health.rules import ComponentHealth
from app.health.service import PortfolioGauges
from app.http.app_state import Component
from app.jobs.rules.schedule import JobReport
from app.metrics import Metrics
from app.rate_limit import RateLimitScope
from app.signals.service.redis_channels.channel_state import ChannelState


@dataclass(frozen=True, slots=True)
class HealthComponents:
    """The components that are checked.

    `is_current` returns whether a database has the schema of this version, `row_security`
    describes its row-level security, and `find_file_problem` states why its file cannot be written.
    `describe_connections` returns the components of a tenant's connections to brokers.
    `list_portfolio_values` returns those of METRICS_PORTFOLIOS. `signal_channel` has why no signals arrive
    over Redis. `has_worker` is true if only `python -m app.worker` or Celery runs the jobs,
    `uses_sandbox` if STRATEGY_SANDBOX is on.
    """

    readers: Readers
    is_current: Callable[[Connection], bool]
    row_security: Callable[[Connection], str]
    writer_is_alive: Callable[[], bool]
    metrics: Metrics
    now: Now
    rate_limits: Callable[[], RateLimitScope]
    find_file_problem: Callable[[], str | None]
    report_jobs: Callable[[Connection], list[JobReport]]
    describe_feed: Callable[[], ComponentHealth]
    describe_webhooks: Callable[[Connection], ComponentHealth]
    describe_brokers: Callable[[Connection], ComponentHealth]
    describe_alerts: Callable[[Sequence[JobReport]], ComponentHealth]
    describe_connections: Callable[[Connection, int], dict[str, ComponentHealth]]
    list_portfolio_values: Callable[[Connection], Sequence[PortfolioGauges]]
    signal_channel: ChannelState
    has_redis: bool
    has_worker: bool
    uses_sandbox: bool


HEALTH_COMPONENTS = Component[HealthComponents]("health_components")
HealthComponentsDep = Annotated[HealthComponents, Depends(HEALTH_COMPONENTS)]
