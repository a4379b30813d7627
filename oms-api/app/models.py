"""Table of contents: every table, so that `Base.metadata` is whole."""

from app.audit.models import AuditHead, AuditRow
from app.events.models import Event
from app.identity.models import (
    AdminRequest,
    ApiKey,
    Login,
    PortfolioGrant,
    Session,
    SlackWorkspace,
    Tenant,
    User,
)
from app.ledger.models import Portfolio, PositionRow, Trade

__all__ = [
    "AdminRequest",
    "ApiKey",
    "AuditHead",
    "AuditRow",
    "Event",
    "Login",
    "Portfolio",
    "PortfolioGrant",
    "PositionRow",
    "Session",
    "SlackWorkspace",
    "Tenant",
    "Trade",
    "User",
]
