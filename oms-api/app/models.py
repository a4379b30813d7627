"""Imports every table, so that `Base.metadata` is complete."""

from app.alerts.models import AlertRow
from app.audit.models import AuditHead, AuditRow
from app.backtests.models import BacktestFileRow, BacktestRow
from app.brokers.models import BrokerConnectionRow
from app.calendars.models import CalendarDayRow
from app.chain_verification.models import ChainVerificationRow
from app.day_close.models import DayCloseRow, DayFiguresRow, OpenBreakRow
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
from app.instruments.models import InstrumentAliasRow, InstrumentRow
from app.jobs.models import JobRow, JobRunRow
from app.ledger.models import CashMovement, CorporateAction, Portfolio, PositionRecordRow, PositionRow, Trade
from app.market_data.models import BarRow, DailyBarRow, MarkOverrideRow, QuoteRow, TickRow
from app.orders.models import (
    BrokerRequestRow,
    Cancellation,
    Execution,
    OrderEventRecord,
    OrderRecord,
    PortfolioCancellation,
)
from app.performance.models import EquitySnapshot
from app.preferences.models import PreferencesRow
from app.reconciliation.models import ReconciliationIssueRow
from app.reports.models import DailyStatsRow
from app.risk.models import KillSwitchChangeRow, KillSwitchRow, LatchRow, LimitRow
from app.signals.models import SignalHookRow, SignalRow, SignalStrategyRow
from app.strategies.models import StrategyInputRow, StrategyRow, StrategyStateRow, StrategyVersionRow
from app.webhooks.models import WebhookDeliveryRow, WebhookRow

__all__ = [
    "AdminRequest",
    "AlertRow",
    "ApiKey",
    "AuditHead",
    "AuditRow",
    "BacktestFileRow",
    "BacktestRow",
    "BarRow",
    "BrokerConnectionRow",
    "BrokerRequestRow",
    "CalendarDayRow",
    "Cancellation",
    "CashMovement",
    "ChainVerificationRow",
    "CorporateAction",
    "DailyBarRow",
    "DailyStatsRow",
    "DayCloseRow",
    "DayFiguresRow",
    "EquitySnapshot",
    "Event",
    "Execution",
    "InstrumentAliasRow",
    "InstrumentRow",
    "JobRow",
    "JobRunRow",
    "KillSwitchChangeRow",
    "KillSwitchRow",
    "LatchRow",
    "LimitRow",
    "Login",
    "MarkOverrideRow",
    "OpenBreakRow",
    "OrderEventRecord",
    "OrderRecord",
    "Portfolio",
    "PortfolioCancellation",
    "PortfolioGrant",
    "PositionRecordRow",
    "PositionRow",
    "PreferencesRow",
    "QuoteRow",
    "ReconciliationIssueRow",
    "Session",
    "SignalHookRow",
    "SignalRow",
    "SignalStrategyRow",
    "SlackWorkspace",
    "StrategyInputRow",
    "StrategyRow",
    "StrategyStateRow",
    "StrategyVersionRow",
    "Tenant",
    "TickRow",
    "Trade",
    "User",
    "WebhookDeliveryRow",
    "WebhookRow",
]
