"""Creates the background work of an installation: jobs under leases, and the delivery of webhooks."""

from datetime import timedelta

from sqlalchemy import Engine

from app.alerts.service.portfolio_alerts import PortfolioAlerts
from app.assembly.scheduled_reports import DAY, DailyReports, ReportSources, ReportTargets
from app.assembly.security import create_address_policy, create_broker_address_policy, create_key_ring
from app.backup import create_backup_keys
from app.backup_job import BackupJob
from app.brokers.adapters import INSTRUMENT_DUMPS, LOG_INS
from app.brokers.paper.environment import load_paper_settings
from app.brokers.service.instrument_loader import InstrumentLoader
from app.brokers.service.log_in_reminder import LogInReminder
from app.calendars.service import Calendars
from app.carry.service import CarryService
from app.chain_verification.service import VERIFY_CHAINS, ChainVerifier
from app.clock import Now
from app.config import Settings
from app.group_commit import GroupCommit
from app.http.opaque_ids import OpaqueIds
from app.jobs.service import Job, JobRunner, RunHistory
from app.ledger.service.cash_figures import CashReader
from app.ledger.service.position_records import PositionRecordUpdater
from app.ledger.service.settlement import Settlements
from app.ledger.service.valuation import Valuer
from app.market_data.service import Market
from app.market_data.service.bar_rollup import BarRollup, TickRetention
from app.market_data.service.feed_watch import FeedWatch
from app.metrics import Metrics
from app.migrate import get_migration_url
from app.orders.queries.symbol_usage import load_currencies_in_use
from app.orders.service.buying_power import BuyingPowerReader
from app.orders.service.command_results import Outcome
from app.orders.service.commands import WriterCommand
from app.orders.service.exit_prices import load_exit_prices
from app.orders.service.order_jobs import OrderJobs
from app.performance.queries import load_baselines
from app.performance.service.retention import SnapshotRetention
from app.performance.service.snapshots import SnapshotService
from app.reports.service.daily_stats import DailyStatistics
from app.strategies.service.drift_watch import PERIOD as DRIFT_PERIOD
from app.strategies.service.drift_watch import DriftWatch
from app.strategies.service.environment import create_code_catalog
from app.strategies.service.parity import ParityChecker
from app.strategies.service.retention import JournalRetention
from app.strategies.service.runner_factory import RunnerFactory
from app.webhooks.service.delivery_runner import DeliveryRunner
from app.webhooks.service.dispatch_store import DispatchStore
from app.webhooks.service.dispatcher import Dispatcher
from app.webhooks.service.maintenance import WebhookMaintenance
from app.webhooks.service.sender import WebhookSender

EXPIRY_PERIOD = timedelta(seconds=1)
BAR_PERIOD = timedelta(seconds=10)
CLOSE_CHECK_PERIOD = timedelta(seconds=5)
PRUNE_PERIOD = timedelta(hours=1)
CARRY_PERIOD = timedelta(minutes=1)
ALERT_PERIOD = timedelta(seconds=2)
INSTRUMENT_PERIOD = timedelta(hours=3)  # one of the runs is at 08:30 in India, before the open
JOURNAL_AGE = timedelta(days=90)
ORDER_EXPIRY = "order and approval expiry"
PORTFOLIO_ALERTS = "portfolio alerts"


def create_job_runner(
    settings: Settings,
    engine: Engine,
    market: Market,
    calendars: Calendars,
    writer: GroupCommit[WriterCommand, Outcome],
    now: Now,
    metrics: Metrics | None = None,
) -> JobRunner:
    """Return the runner of all jobs of the service."""
    jobs = create_order_jobs(engine, writer, calendars, now)
    jobs += create_jobs(settings, engine, market, calendars, now)
    return JobRunner(engine, jobs, now, None if metrics is None else metrics.count_job_run)


def create_order_jobs(
    engine: Engine, writer: GroupCommit[WriterCommand, Outcome], calendars: Calendars, now: Now
) -> list[Job]:
    """Return the jobs of orders, which need a writer."""
    orders = OrderJobs(engine, writer, calendars, now)
    return [
        Job(ORDER_EXPIRY, EXPIRY_PERIOD, orders.expire, is_urgent=True),
        Job("intraday square-off", CLOSE_CHECK_PERIOD, orders.square_off, is_urgent=True),
    ]


def create_jobs(
    settings: Settings, engine: Engine, market: Market, calendars: Calendars, now: Now
) -> list[Job]:
    """Return the other jobs of the service."""
    interval = timedelta(seconds=settings.equity_interval_seconds)
    snapshots = SnapshotService(engine, market.load_past_marks, calendars, interval, now)
    webhooks = WebhookMaintenance(engine, create_key_ring(settings), now)
    alerts = PortfolioAlerts(engine, Valuer(market.load_marks, load_baselines), now)
    retention = SnapshotRetention(engine, timedelta(days=settings.equity_retention_days), now)
    carry = CarryService(engine, market.load_past_marks, calendars, now)
    ticks = TickRetention(engine, timedelta(days=settings.tick_retention_days), now)
    runners = RunnerFactory(create_code_catalog(settings))
    parity = ParityChecker(market, runners, load_paper_settings(settings))
    instruments = InstrumentLoader(
        engine, INSTRUMENT_DUMPS, create_broker_address_policy(settings), load_currencies_in_use, now
    )
    return [
        Job("equity snapshots", interval, snapshots.take_interval_snapshots),
        Job("flow snapshots", CLOSE_CHECK_PERIOD, snapshots.take_flow_snapshots),
        Job("day closes", CLOSE_CHECK_PERIOD, snapshots.take_close_snapshots),
        Job("prune equity snapshots", PRUNE_PERIOD, retention.prune),
        Job(
            "position records",
            timedelta(seconds=settings.mark_interval_seconds),
            PositionRecordUpdater(engine, market, now).update,
        ),
        Job("roll up bars", BAR_PERIOD, BarRollup(engine, now).roll_up),
        Job("prune ticks", PRUNE_PERIOD, ticks.prune),
        Job("prune webhook deliveries", PRUNE_PERIOD, webhooks.prune),
        Job("encrypt webhook secrets again", PRUNE_PERIOD, webhooks.encrypt_again),
        Job(PORTFOLIO_ALERTS, ALERT_PERIOD, alerts.check),
        Job("stale price feed", CLOSE_CHECK_PERIOD, FeedWatch(engine, market, now).check),
        Job("interest and borrow fees", CARRY_PERIOD, carry.book),
        Job("daily statistics", CARRY_PERIOD, DailyStatistics(engine, now).store),
        Job("broker logins", CARRY_PERIOD, LogInReminder(engine, calendars, LOG_INS, now).check),
        Job("broker instruments", INSTRUMENT_PERIOD, instruments.load),
        Job("strategy parity", DRIFT_PERIOD, DriftWatch(engine, parity, now).check),
        Job("prune strategy journals", PRUNE_PERIOD, JournalRetention(engine, JOURNAL_AGE, now).prune),
        Job("prune job history", PRUNE_PERIOD, RunHistory(engine).prune),
        Job(
            VERIFY_CHAINS,
            timedelta(hours=settings.chain_verification_hours),
            ChainVerifier(engine, now).verify,
        ),
        *_create_backup_jobs(settings, now),
        *_create_report_jobs(settings, engine, market, calendars, now),
    ]


def _create_backup_jobs(settings: Settings, now: Now) -> list[Job]:
    """Return the job that backs up the database, if BACKUP_FOLDER is set."""
    if settings.backup_folder is None:
        return []
    retention = timedelta(days=settings.backup_retention_days)
    keys = create_backup_keys(settings)
    job = BackupJob(get_migration_url(settings), settings.backup_folder, keys, retention, now)
    return [Job("back up", timedelta(hours=settings.backup_interval_hours), job.run)]


def _create_report_jobs(
    settings: Settings, engine: Engine, market: Market, calendars: Calendars, now: Now
) -> list[Job]:
    """Return the job that reports each day, if REPORTS_FOLDER, REPORTS_URL or REPORTS_SLACK is set."""
    targets = ReportTargets(
        settings.reports_folder,
        settings.reports_url,
        settings.reports_tenants,
        settings.reports_format,
        is_to_slack=settings.reports_slack == "on",
    )
    if targets.folder is None and targets.url is None and not targets.is_to_slack:
        return []
    cash_reader = CashReader(Settlements(calendars), BuyingPowerReader(market))
    sources = ReportSources(market, load_exit_prices, cash_reader, Valuer(market.load_marks, load_baselines))
    sender = WebhookSender(create_address_policy(settings), now)
    return [Job("daily reports", DAY, DailyReports(engine, sources, targets, sender, now).write)]


def create_delivery_runner(
    settings: Settings, engine: Engine, now: Now, metrics: Metrics | None = None
) -> DeliveryRunner:
    """Return the runner that delivers events to webhooks."""
    keys, policy = create_key_ring(settings), create_address_policy(settings)
    store = DispatchStore(engine, OpaqueIds(settings.oms_api_key))
    observe = (metrics or Metrics()).requests.count_webhook_request

    def create_dispatcher() -> Dispatcher:
        return Dispatcher(store, WebhookSender(policy, now), keys, now, observe=observe)

    return DeliveryRunner(engine, create_dispatcher, now)
