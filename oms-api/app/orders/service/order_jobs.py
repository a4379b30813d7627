"""Background jobs of orders: expire orders and requests for approval, and square off intraday positions.

They send commands to the writer of this process one after another, so that other commands can run in between.
"""

from datetime import datetime
from math import ceil

from sqlalchemy import Engine

from app.calendars.service import Calendars
from app.clock import Now
from app.database import set_all_tenants_scope, snapshot
from app.group_commit import GroupCommit
from app.jobs.service import Lease
from app.orders.queries.due_orders import (
    count_overdue_orders,
    list_intraday_portfolios,
    list_tenants_with_expired_requests,
)
from app.orders.service.command_results import Outcome
from app.orders.service.commands import WriterCommand
from app.orders.service.internal_commands import MAX_EXPIRIES, ExpireOrders, SquareOff
from app.timestamps import Timestamp, format_timestamp


class OrderJobs:
    """Runs the jobs in the process that has their lease."""

    def __init__(
        self, engine: Engine, writer: "GroupCommit[WriterCommand, Outcome]", calendars: Calendars, now: Now
    ) -> None:
        self._engine, self._writer, self._calendars, self._now = engine, writer, calendars, now
        self._squared_off: datetime | None = None  # the last square-off that this process has done

    def expire(self, lease: Lease) -> None:
        """Expire the orders whose time has ended, and the orders that were not approved in time.

        Orders that come due meanwhile, and the rest of a large number of overdue requests, expire at the
        next run.
        """
        for command in self._list_expiries(format_timestamp(self._now())):
            self._writer.write(command)
            lease.renew()

    def square_off(self, lease: Lease) -> None:
        """Cancel intraday orders and close intraday positions after each square-off, and after the start."""
        at = self._now()
        with snapshot(self._engine) as connection:
            self._calendars.refresh(set_all_tenants_scope(connection))
            latest = self._calendars.find_latest_square_off(at)
            if latest == self._squared_off:
                return
            tenants = {portfolio.tenant_id for portfolio in list_intraday_portfolios(connection)}
        for tenant_id in sorted(tenants):
            self._writer.write(SquareOff(tenant_id, format_timestamp(at)))
            lease.renew()
        self._squared_off = latest

    def _list_expiries(self, at: Timestamp) -> list[ExpireOrders]:
        """Return as many commands for each portfolio as its overdue orders need."""
        with snapshot(self._engine) as connection:
            set_all_tenants_scope(connection)
            counts = count_overdue_orders(connection, at)
            tenants = list_tenants_with_expired_requests(connection, at)
        expiries = [
            ExpireOrders(key.tenant_id, at, key.portfolio_id)
            for key, count in counts.items()
            for _ in range(ceil(count / MAX_EXPIRIES))
        ]
        return expiries + [ExpireOrders(tenant_id, at) for tenant_id in tenants]
