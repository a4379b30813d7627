"""Table of contents: every table, so that `Base.metadata` is whole."""

from app.events.models import Event
from app.identity.models import ApiKey, Tenant
from app.ledger.models import Portfolio, PositionRow, Trade

__all__ = ["ApiKey", "Event", "Portfolio", "PositionRow", "Tenant", "Trade"]
