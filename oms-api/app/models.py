"""Table of contents: every table, so that `Base.metadata` is whole."""

from app.events.models import Event
from app.identity.models import ApiKey, Tenant
from app.instruments.models import InstrumentRow
from app.ledger.models import Portfolio, PositionRow, Trade
from app.market_data.models import BarRow, QuoteRow
from app.orders.models import Execution, OrderEvent, OrderRecord
from app.risk.models import KillSwitchChangeRow, KillSwitchRow, LimitRow

__all__ = [
    "ApiKey",
    "BarRow",
    "Event",
    "Execution",
    "InstrumentRow",
    "KillSwitchChangeRow",
    "KillSwitchRow",
    "LimitRow",
    "OrderEvent",
    "OrderRecord",
    "Portfolio",
    "PositionRow",
    "QuoteRow",
    "Tenant",
    "Trade",
]
