"""Statements about alerts."""

from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, or_, select, update

from app.alerts.models import AlertRow
from app.alerts.rules.conditions import Alert, AlertKind, Transition, apply_transition
from app.database import RecordTable
from app.identity.queries.owners import build_activity_condition, build_visibility_condition
from app.identity.rules.access import Caller
from app.ledger.models import Portfolio

ALERTS = RecordTable(AlertRow, Alert)


class ListedAlert(NamedTuple):
    """An alert with the name of its portfolio."""

    alert: Alert
    portfolio_name: str | None


class WatchedPortfolio(NamedTuple):
    """A portfolio with alerts."""

    tenant_id: int
    id: int
    name: str
    name_key: str
    is_live: bool


class PortfolioAlert(NamedTuple):
    """An alert of a portfolio, and the portfolio."""

    alert: Alert
    portfolio: WatchedPortfolio


def list_alerts(connection: Connection, caller: Caller, limit: int, before: str | None) -> list[ListedAlert]:
    """Return the alerts of a caller, newest first. `before` is the id of the last alert seen.

    Alerts of portfolios that the caller may not see now are left out.
    """
    is_portfolio = (Portfolio.tenant_id == AlertRow.tenant_id) & (Portfolio.id == AlertRow.portfolio_id)
    statement = (
        select(*ALERTS.columns, Portfolio.name)
        .outerjoin(Portfolio, is_portfolio)
        .where(AlertRow.tenant_id == caller.tenant_id, AlertRow.owner == caller.actor)
        .order_by(AlertRow.id.desc())
        .limit(limit)
    )
    if caller.portfolios is not None:
        is_visible = Portfolio.name_key.in_(sorted(caller.portfolios))
        statement = statement.where(or_(AlertRow.portfolio_id.is_(None), is_visible))
    if before is not None:
        statement = statement.where(AlertRow.id < before)
    return [ListedAlert(ALERTS.build(row[:-1]), row[-1]) for row in connection.execute(statement)]


def find_alert(connection: Connection, tenant_id: int, alert_id: str, now: datetime) -> Alert | None:
    """Return an alert by its id. None if it does not exist or its owner is not active."""
    return ALERTS.find(connection, _has_active_owner(now), tenant_id=tenant_id, id=alert_id)


def list_price_alerts(connection: Connection, since: datetime | None, now: datetime) -> list[Alert]:
    """Return the price alerts that changed since an instant, of every tenant that the connection sees.

    Without an instant, return all that are active. Alerts of inactive owners are left out.
    """
    statement = ALERTS.select(kind=AlertKind.PRICE).where(_has_active_owner(now))
    is_wanted = AlertRow.is_active.is_(True) if since is None else AlertRow.updated_at >= since
    return ALERTS.read(connection, statement.where(is_wanted))


def list_portfolio_alerts(connection: Connection, now: datetime) -> list[PortfolioAlert]:
    """Return the active alerts of portfolios, of every tenant that the connection sees, by portfolio.

    Alerts whose owners are not active, or may not see the portfolio, are left out.
    """
    return [_build_portfolio_alert(row) for row in connection.execute(_select_portfolio_alerts(now))]


def apply_to_row(connection: Connection, transition: Transition, now: datetime) -> Alert | None:
    """Apply a transition to the row of its alert, and return the row.

    Return None if the row is in another state, because another process was first, if it no longer exists, or
    if its owner is not active.
    """
    alert = transition.alert
    updated = apply_transition(transition)
    values: dict[str, Any] = {"is_armed": updated.is_armed, "changed_at": transition.at, "updated_at": now}
    if transition.is_firing:
        values |= {"value": transition.value, "fired_at": transition.at, "firing": AlertRow.firing + 1}
        values["is_active"] = updated.is_active
    statement = (
        update(AlertRow)
        .where(AlertRow.tenant_id == alert.tenant_id, AlertRow.id == alert.id, AlertRow.is_active.is_(True))
        .where(AlertRow.is_armed.is_(transition.is_firing))
        .where(
            or_(AlertRow.changed_at.is_(None), AlertRow.changed_at <= transition.at), _has_active_owner(now)
        )
        .values(**values)
        .returning(*ALERTS.columns)
    )
    row = connection.execute(statement).one_or_none()
    return None if row is None else ALERTS.build(row)


def _has_active_owner(now: datetime) -> ColumnElement[bool]:
    return build_activity_condition(AlertRow.tenant_id, AlertRow.owner, now)


def _select_portfolio_alerts(now: datetime) -> Select[Any]:
    is_portfolio = (Portfolio.tenant_id == AlertRow.tenant_id) & (Portfolio.id == AlertRow.portfolio_id)
    return (
        select(*ALERTS.columns, Portfolio.name, Portfolio.name_key, Portfolio.kind)
        .join(Portfolio, is_portfolio)
        .where(AlertRow.kind != AlertKind.PRICE, AlertRow.is_active.is_(True), _has_active_owner(now))
        .where(build_visibility_condition(AlertRow.tenant_id, AlertRow.owner, Portfolio.name_key))
        .order_by(AlertRow.tenant_id, AlertRow.portfolio_id, AlertRow.id)
    )


def _build_portfolio_alert(row: Any) -> PortfolioAlert:
    *alert_values, name, name_key, kind = row
    alert = ALERTS.build(alert_values)
    portfolio = WatchedPortfolio(alert.tenant_id, alert.portfolio_id or 0, name, name_key, kind == "live")
    return PortfolioAlert(alert, portfolio)
