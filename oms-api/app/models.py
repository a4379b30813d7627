"""Table of contents: every table, so that `Base.metadata` is whole."""

from app.events.models import Event
from app.identity.models import ApiKey, Tenant
from app.ledger.models import Portfolio, PositionRow, Trade
from app.orders.models import Execution, OrderEvent, OrderRecord
from app.risk.models import KillSwitchChangeRow, KillSwitchRow, LimitRow

__all__ = [
    "ApiKey",
    "Event",
    "Execution",
    "KillSwitchChangeRow",
    "KillSwitchRow",
    "LimitRow",
    "OrderEvent",
    "OrderRecord",
    "Portfolio",
    "PositionRow",
    "Tenant",
    "Trade",
]
