"""Compare all strategies with the replays of their journals each day, and report differences."""

import logging
from datetime import datetime, timedelta

from sqlalchemy import Connection, Engine

from app.clock import Now
from app.database import ALL_TENANTS, set_tenant_scope, snapshot, unit_of_work
from app.errors import OmsError
from app.events.service.outbox import publish_event
from app.jobs.service import Lease
from app.strategies.queries.registry import ListedStrategy, list_started_strategies
from app.strategies.service.parity import NoJournal, ParityChecker, ParityReport

PERIOD = timedelta(days=1)
DRIFT = "strategy.drift"
_LOG = logging.getLogger(__name__)


class DriftWatch:
    """Publishes an event for each strategy whose orders or fills differ from its replay."""

    def __init__(self, engine: Engine, checker: ParityChecker, now: Now) -> None:
        self._engine, self._checker, self._now = engine, checker, now

    def check(self, lease: Lease) -> None:
        """Compare the last day of all strategies that have run."""
        now = self._now()
        with snapshot(self._engine, ALL_TENANTS) as connection:
            listed_strategies = list_started_strategies(connection)
        for listed_strategy in listed_strategies:
            lease.renew()
            report = self._compare_with_replay(listed_strategy, now)
            if report is not None and report.differences:
                with unit_of_work(self._engine) as connection:
                    _publish_drift(connection, listed_strategy, report, now)

    def _compare_with_replay(self, listed_strategy: ListedStrategy, now: datetime) -> ParityReport | None:
        strategy = listed_strategy.strategy
        try:
            with snapshot(self._engine, strategy.tenant_id) as connection:
                return self._checker.compare(connection, strategy, now - PERIOD, now)
        except NoJournal:
            return None
        except OmsError as error:
            _LOG.warning("the strategy %s was not compared: %s", strategy.name, error.detail)
            return None


def _publish_drift(
    connection: Connection, listed_strategy: ListedStrategy, report: ParityReport, now: datetime
) -> None:
    first = report.differences[0]
    strategy = listed_strategy.strategy
    payload = {
        "name": strategy.name,
        "portfolio_name": listed_strategy.portfolio_name,
        "compared_orders": report.orders,
        "compared_fills": report.fills,
        "differences": len(report.differences),
        "order_id": first.order_id,
        "reason": f"{first.kind}: {first.cause}",
    }
    set_tenant_scope(connection, [strategy.tenant_id])
    publish_event(connection, strategy.tenant_id, DRIFT, payload, now)
