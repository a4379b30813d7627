"""Create and delete the alerts of a caller."""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import Connection

from app.alerts.errors import NoSuchAlert, TooManyAlerts
from app.alerts.queries import ALERTS, ListedAlert
from app.alerts.rules.conditions import Alert, AlertKind, Direction
from app.identity.rules.access import Caller
from app.ids import SortableIds
from app.instruments.queries import load_symbol
from app.ledger.service.portfolio_lookup import require_portfolio

MAX_ALERTS = 50_000  # per tenant
MAX_OWN_ALERTS = 500  # per person or key
_IDS = SortableIds("A")


class AlertTerms(NamedTuple):
    """The condition of a new alert, and where it is delivered."""

    kind: AlertKind
    symbol: str | None
    portfolio_name: str | None
    direction: Direction
    threshold: Decimal
    is_repeating: bool
    deliver_to: str


def create_alert(connection: Connection, caller: Caller, terms: AlertTerms, now: datetime) -> ListedAlert:
    """Create an alert of the caller. Raises Invalid for an unknown portfolio, and TooManyAlerts."""
    tenant_id = caller.tenant_id
    if ALERTS.count(connection, tenant_id=tenant_id) >= MAX_ALERTS:
        raise TooManyAlerts(f"A tenant has at most {MAX_ALERTS:,} alerts; delete some first.")
    if ALERTS.count(connection, tenant_id=tenant_id, owner=caller.actor) >= MAX_OWN_ALERTS:
        raise TooManyAlerts(f"You have {MAX_OWN_ALERTS} alerts, which is the maximum; delete some first.")
    name = terms.portfolio_name
    portfolio = None if name is None else require_portfolio(connection, caller, name, "portfolio_name")
    alert = Alert(
        tenant_id=tenant_id,
        id=_IDS.generate(tenant_id, now),
        owner=caller.actor,
        kind=terms.kind,
        symbol=None if terms.symbol is None else load_symbol(connection, tenant_id, terms.symbol),
        portfolio_id=None if portfolio is None else portfolio.id,
        direction=terms.direction,
        threshold=terms.threshold,
        is_repeating=terms.is_repeating,
        deliver_to=terms.deliver_to,
        is_active=True,
        is_armed=True,
        firing=0,
        value=None,
        fired_at=None,
        changed_at=None,
        created_at=now,
        updated_at=now,
    )
    ALERTS.insert(connection, alert)
    return ListedAlert(alert, None if portfolio is None else portfolio.name)


def delete_alert(connection: Connection, caller: Caller, alert_id: str) -> None:
    """Delete an alert of the caller. Raises NoSuchAlert."""
    if not ALERTS.delete(connection, tenant_id=caller.tenant_id, owner=caller.actor, id=alert_id):
        raise NoSuchAlert(alert_id)
