"""Creates the components of a process: `assemble`."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, cast

from sqlalchemy import Connection, Engine

from app.alerts.service.price_alert_watcher import PriceAlertWatcher
from app.assembly.authentication import create_authentication, make_limiter, make_sessions
from app.assembly.background_jobs import PORTFOLIO_ALERTS, create_delivery_runner, create_job_runner
from app.assembly.security import create_broker_address_policy, create_broker_key_ring
from app.assembly.startup import ManagedComponents
from app.audit.service import AuditWriter
from app.backtests.service.process_runner import BacktestRunner
from app.brokers.adapters import create_adapter
from app.brokers.paper.environment import load_paper_settings
from app.brokers.protocol import Broker
from app.brokers.queries import StoredConnection, list_connections
from app.brokers.rules.circuit_breaker import CircuitState
from app.brokers.rules.connections import BrokerName
from app.brokers.service.account_checks import CreateBroker, open_broker
from app.brokers.service.connections import compute_lag
from app.brokers.service.price_access import load_price_terms
from app.brokers.zerodha.price_source import NAME as KITE
from app.brokers.zerodha.price_source import KiteSource
from app.calendars.service import Calendars
from app.clock import Now
from app.config import ConfigurationError, Settings
from app.corporate_actions.service.action_booking import CorporateActions
from app.database import Readers, connect_engine, set_all_tenants_scope, set_tenant_scope
from app.database.changes import ChangeWriter
from app.database.files import DatabaseFile
from app.database.tenants import describe_row_security
from app.database.transactions import Transactions
from app.events.service.feed import EventFeed
from app.group_commit import GroupCommit
from app.health.dependencies import HealthComponents
from app.health.rules import (
    ComponentHealth,
    describe_alerts,
    describe_brokers,
    describe_connection,
    describe_feed,
    describe_webhooks,
)
from app.health.service import PortfolioGauges, list_portfolio_values
from app.http.opaque_ids import OpaqueIds
from app.identity.dependencies.authentication import Authentication
from app.identity.service.passwords import Passwords
from app.identity.service.sessions import LoginSessions
from app.identity.service.throttle import Throttle
from app.jobs.queries import is_leased
from app.jobs.rules.schedule import JobReport
from app.jobs.service import JobRunner
from app.ledger.rules.tickets import TradeLimits
from app.ledger.service.batch_handler import LedgerBatchHandler
from app.ledger.service.cash_figures import CashReader
from app.ledger.service.commands import LedgerCommand, RecordedTrade
from app.ledger.service.settlement import Settlements
from app.ledger.service.trade_service import TradeService
from app.ledger.service.valuation import Valuer
from app.logs import AccessLog
from app.market_data.rules.alpaca_messages import SOURCE as ALPACA
from app.market_data.schemas import serialize_quote
from app.market_data.service import Market
from app.market_data.service.quote_sharing import QuoteSharing
from app.market_data.service.subscriptions import SubscribedQuotes
from app.market_data.sources import SOURCES, AlpacaAccess, PriceSource, SourceNotConfigured, SourceSettings
from app.market_data.sources.shared_feed import SharedFeed
from app.metrics import Metrics
from app.migrate import is_current
from app.order_routing.service.charge_comparison import ChargeComparison
from app.order_routing.service.environment_connections import (
    AlpacaVariables,
    build_alpaca_connection,
    save_environment_connection,
)
from app.order_routing.service.session_runner import SessionRunner
from app.orders.service.batch_state.batch_context import BatchServices
from app.orders.service.broker_request_notifier import BrokerRequestNotifier
from app.orders.service.buying_power import BuyingPowerReader
from app.orders.service.cancellations import Cancellations
from app.orders.service.command_results import Outcome
from app.orders.service.commands import WriterCommand, get_lock_group
from app.orders.service.market_watcher import MarketWatcher
from app.orders.service.order_service import OrderService
from app.orders.service.quote_matcher import QuoteMatcher
from app.orders.service.trade_guard import OrderTradeGuard
from app.orders.service.write_path.batch_handler import OrderBatchHandler
from app.performance.queries import load_baselines
from app.rate_limit import BucketExchange, RateLimiter, get_rate_limit_scope
from app.reconciliation.service.reconciler import ApplyEvents, Reconciler
from app.risk.service.controls import Controls
from app.risk.service.messages import MessageRate
from app.signals.schemas.messages import parse_message
from app.signals.service.planning import SignalDefaults, SignalPlanner
from app.signals.service.redis_channels.channel_state import ChannelState
from app.signals.service.redis_channels.channel_watch import ChannelWatch
from app.signals.service.redis_channels.intake import SignalIntake
from app.signals.service.resumption import SignalResumption
from app.signals.service.signal_batch import SignalHandler
from app.signals.service.signal_service import SignalService
from app.signals.service.signal_store import SignalStore
from app.strategies.service.environment import create_code_catalog
from app.strategies.service.host import StrategyHost
from app.strategies.service.runner_factory import RunnerFactory
from app.streams.service.hub import StreamHub, create_hub
from app.webhooks.queries.dispatching import read_backlog
from app.webhooks.service.delivery_runner import LEASE_NAME, DeliveryRunner


@dataclass(frozen=True, slots=True)
class Components:
    """The components, from the database to the services."""

    settings: Settings
    now: Now
    metrics: Metrics
    access_log: AccessLog
    engine: Engine
    database_file: DatabaseFile
    readers: Readers
    transactions: Transactions
    changes: ChangeWriter
    audit_writer: AuditWriter
    market: Market
    calendars: Calendars
    controls: Controls
    writer: GroupCommit[WriterCommand, Outcome]
    passwords: Passwords
    sessions: LoginSessions
    throttle: Throttle
    limiter: RateLimiter
    bucket_exchange: BucketExchange | None
    authentication: Authentication
    trade_service: TradeService
    order_service: OrderService
    cancellations: Cancellations
    valuer: Valuer
    job_runner: JobRunner
    delivery_runner: DeliveryRunner
    cash_reader: CashReader
    corporate_actions: CorporateActions
    price_alert_watcher: PriceAlertWatcher
    create_broker: CreateBroker
    broker_notifier: BrokerRequestNotifier
    signal_planner: SignalPlanner
    signals: SignalService
    signal_channel: ChannelState
    streams: StreamHub

    def build_managed_components(self) -> ManagedComponents:
        """Return the components to start and stop with the process."""
        delayed = self.settings.paper_latency_milliseconds > 0
        jobs = [self.job_runner.run] if self.settings.duties == "embedded" else []
        deliveries = [self.delivery_runner.run] if self.settings.duties != "worker" else []
        backtests = [] if self.settings.duties == "worker" else [BacktestRunner(self.engine, self.now).run]
        hosts = [self._create_strategy_host().run] if self.settings.strategy_host == "embedded" else []
        market_watcher = MarketWatcher(
            self.readers, self.writer, self.market, self.now, self.calendars, is_delayed=delayed
        )
        return ManagedComponents(
            self.engine,
            self.readers,
            self.writer,
            self.audit_writer,
            self.access_log,
            database_file=self.database_file,
            first_to_close=(
                self.job_runner.close,
                self.passwords.close,
                self.transactions.close,
                self.changes.close,
            ),
            bucket_exchange=self.bucket_exchange,
            background_tasks=(
                market_watcher.run,
                self.corporate_actions.run,
                self.price_alert_watcher.run,
                self.cancellations.run,
                SignalResumption(self.signals, self.readers, self.now).run,
                *self._list_signal_receivers(),
                *self.streams.background_tasks,
                SubscribedQuotes(self.readers, self.market).run,
                *([QuoteSharing(url, self.market).run] if (url := self.settings.redis_url) else []),
                *jobs,
                *deliveries,
                *backtests,
                *hosts,
                *([self._create_session_runner().run] if self.settings.broker_sessions == "on" else []),
            ),
        )

    def _list_signal_receivers(self) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        """Return the task that receives signals over Redis, if there is one."""
        if self.settings.redis_url is None or self.settings.signals_redis == "off":
            return []
        # Imported here, since most installations have no Redis and its client imports slowly.
        from app.signals.service.redis_channels.receiver import SignalReceiver  # noqa: PLC0415  # as above

        tenant, metrics = self.settings.signals_tenant, self.metrics.signals
        intake = SignalIntake(self.signals, self.readers, parse_message, tenant, metrics)
        watch = ChannelWatch(self.signal_channel, intake, self.transactions, metrics, self.now)
        state = (self.signal_channel, watch, self.transactions, self.now)
        return [SignalReceiver(self.settings.redis_url, intake, *state).run]

    def _create_strategy_host(self) -> StrategyHost:
        """Return the host of strategies, which places their orders by the writer of this process."""
        runners = RunnerFactory(create_code_catalog(self.settings))
        return StrategyHost(self.engine, self.readers, self.market, self.order_service, runners, self.now)

    def _create_session_runner(self) -> SessionRunner:
        """Return the runner of the sessions with brokers, which need the writer of this process."""
        keys, policy = create_broker_key_ring(self.settings), create_broker_address_policy(self.settings)

        def prepare() -> None:
            key_id, secret = self.settings.alpaca_api_key, self.settings.alpaca_api_secret
            if key_id and secret:
                variables = AlpacaVariables(key_id, secret, self.settings.alpaca_base_url)
                alpaca_connection = build_alpaca_connection(variables)
                save_environment_connection(self.engine, keys, alpaca_connection, self.now())

        reconciler = Reconciler(self.engine, self.now)
        charges = ChargeComparison(self.engine, self.now, self.metrics.count_charge_difference)

        def reconcile(stored_connection: StoredConnection, broker: Broker, apply: ApplyEvents) -> bool:
            needs_confirmation = reconciler.run(stored_connection, broker, apply)
            charges.run(stored_connection, broker)
            return needs_confirmation

        return SessionRunner(
            self.engine,
            self.readers,
            self.writer,
            lambda stored_connection: open_broker(stored_connection, keys, policy, self.create_broker),
            self.broker_notifier,
            self.now,
            prepare,
            reconcile,
            timedelta(seconds=self.settings.reconcile_interval_seconds),
            serves_broker=lambda broker: broker != BrokerName.IBKR,  # which has a separate process
        )

    def create_health_components(self) -> HealthComponents:
        """Return the components that the health checks examine."""
        return HealthComponents(
            self.readers,
            is_current,
            describe_row_security,
            lambda: self.writer.is_alive,
            self.metrics,
            self.now,
            lambda: get_rate_limit_scope(self.limiter, self.bucket_exchange),
            self.database_file.find_problem,
            self.job_runner.report,
            self._describe_feed,
            self._describe_webhooks,
            describe_broker_connections,
            self._describe_alerts,
            describe_connections=self._describe_connections,
            list_portfolio_values=self._list_portfolio_values,
            signal_channel=self.signal_channel,
            has_redis=self.settings.redis_url is not None,
            has_worker=self.settings.duties != "embedded",
            uses_sandbox=self.settings.strategy_sandbox == "on",
        )

    def _list_portfolio_values(self, connection: Connection) -> list[PortfolioGauges]:
        names: dict[str, list[str]] = {}
        for slug, name in self.settings.metrics_portfolios:
            names.setdefault(slug, []).append(name)
        return list_portfolio_values(connection, self.valuer, names, self.now())

    def _describe_connections(self, connection: Connection, tenant_id: int) -> dict[str, ComponentHealth]:
        connections, now = list_connections(set_tenant_scope(connection, [tenant_id]), tenant_id), self.now()
        return {
            f"broker:{stored_connection.name}": describe_connection(
                stored_connection.status, compute_lag(stored_connection, now), stored_connection.error
            )
            for stored_connection in connections
        }

    def _describe_feed(self) -> ComponentHealth:
        silence = self.market.compute_feed_silence(self.now())
        seconds = None if silence is None else round(silence.total_seconds(), 3)
        return describe_feed(seconds, self.settings.max_quote_age_seconds)

    def _describe_webhooks(self, connection: Connection) -> ComponentHealth:
        now = self.now()
        backlog = read_backlog(set_all_tenants_scope(connection), now)
        age = 0.0 if backlog.oldest_at is None else (now - backlog.oldest_at).total_seconds()
        has_process = is_leased(connection, LEASE_NAME, now)
        return describe_webhooks(
            backlog.endpoints, backlog.due_count, max(age, 0.0), backlog.last_error, has_process=has_process
        )

    def _describe_alerts(self, reports: Sequence[JobReport]) -> ComponentHealth:
        state, job = self.price_alert_watcher.state, None
        age = None if state.checked_at is None else (self.now() - state.checked_at).total_seconds()
        for report in reports:
            job = report if report.state.name == PORTFOLIO_ALERTS else job
        return describe_alerts(age, state.last_error, state.pending, job)


def describe_broker_connections(connection: Connection) -> ComponentHealth:
    """Return the component of the broker connections of all tenants."""
    connections = list_connections(set_all_tenants_scope(connection))
    open_circuits = sum(stored_connection.circuit != CircuitState.CLOSED for stored_connection in connections)
    return describe_brokers([stored_connection.status for stored_connection in connections], open_circuits)


def assemble(settings: Settings, now: Now, access_log: AccessLog) -> Components:
    """Create the components of a process. Raises ConfigurationError if the settings are invalid."""
    metrics = Metrics()
    engine = connect_engine(
        settings.database_url, settings.reader_threads, settings.database_timeout_seconds, tenant_scoped=True
    )
    readers, transactions = Readers(engine, settings.reader_threads), Transactions(engine)
    controls, calendars = Controls(), Calendars.load()
    market = create_market(settings, engine, readers, calendars)
    message_rate = MessageRate()
    broker_notifier, planner = BrokerRequestNotifier(), create_signal_planner(settings)
    services = BatchServices(
        market,
        controls,
        load_paper_settings(settings),
        calendars,
        settings.enforce_sessions,
        message_rate=message_rate,
        broker_notifier=broker_notifier,
        metrics=metrics,
        signals=SignalHandler(planner, metrics.signals, now),
    )
    writer = _build_writer(settings, engine, services)
    metrics.watch_queue(lambda: writer.queue_depth)
    audit_writer = AuditWriter(engine, now, metrics.count_dropped_actions)
    sessions = make_sessions(settings, readers, transactions, now)
    throttle, changes = Throttle(), ChangeWriter(engine)
    limiter, bucket_exchange = make_limiter(settings, message_rate, *throttle.pools)
    order_service = OrderService(writer, QuoteMatcher(writer, readers, market, now), now, readers)
    streams = create_hub(
        EventFeed(readers),
        readers,
        OpaqueIds(settings.oms_api_key),
        market,
        Valuer(market.load_marks, load_baselines),
        serialize_quote,
        now,
        settings.websocket_origins,
    )
    metrics.watch_websockets(lambda: streams.connections.used)
    return Components(
        settings=settings,
        now=now,
        metrics=metrics,
        access_log=access_log,
        engine=engine,
        database_file=DatabaseFile.from_engine(engine),
        readers=readers,
        transactions=transactions,
        changes=changes,
        audit_writer=audit_writer,
        market=market,
        calendars=calendars,
        controls=controls,
        writer=writer,
        passwords=Passwords(),
        sessions=sessions,
        throttle=throttle,
        limiter=limiter,
        bucket_exchange=bucket_exchange,
        authentication=create_authentication(
            settings, engine, readers, transactions, sessions, limiter, audit_writer, now
        ),
        trade_service=TradeService(
            cast("GroupCommit[LedgerCommand, RecordedTrade]", writer), _build_trade_limits(settings), now
        ),
        order_service=order_service,
        cancellations=Cancellations(writer, transactions, readers, now),
        valuer=Valuer(market.load_marks, load_baselines),
        job_runner=create_job_runner(settings, engine, market, calendars, writer, now, metrics),
        delivery_runner=create_delivery_runner(settings, engine, now, metrics),
        cash_reader=CashReader(Settlements(calendars), BuyingPowerReader(market)),
        corporate_actions=CorporateActions(writer, readers, changes, now),
        price_alert_watcher=PriceAlertWatcher(readers, transactions, market, now),
        create_broker=partial(create_adapter, engine=engine, observe=metrics.requests.count_broker_request),
        broker_notifier=broker_notifier,
        signal_planner=planner,
        signals=SignalService(writer, SignalStore(transactions, planner), now),
        signal_channel=ChannelState(now),
        streams=streams,
    )


def create_signal_planner(settings: Settings) -> SignalPlanner:
    """Return the planner of signals with the defaults of the installation."""
    names = (settings.signals_strategy, settings.signals_portfolio, settings.signals_tenant)
    return SignalPlanner(SignalDefaults(*names))


def create_writer(
    settings: Settings, engine: Engine, market: Market, calendars: Calendars, metrics: Metrics | None = None
) -> GroupCommit[WriterCommand, Outcome]:
    """Return the writer of a process that serves no requests."""
    paper = load_paper_settings(settings)
    services = BatchServices(market, Controls(), paper, calendars, settings.enforce_sessions, metrics=metrics)
    return _build_writer(settings, engine, services)


def _build_writer(
    settings: Settings, engine: Engine, services: BatchServices
) -> GroupCommit[WriterCommand, Outcome]:
    guard = OrderTradeGuard(services.controls)
    handler = OrderBatchHandler(LedgerBatchHandler(guard=guard, rates=services.market.find_rate), services)
    return GroupCommit(
        engine,
        handler,
        settings.write_queue_limit,
        settings.write_batch_limit,
        services.metrics,
        get_lock_group,
    )


def _create_price_source(settings: Settings, engine: Engine) -> PriceSource:
    if settings.price_source == KITE:
        return _create_kite_source(settings, engine)
    make = SOURCES.get(settings.price_source)
    if make is None:
        raise ConfigurationError(f"PRICE_SOURCE must be one of {', '.join(sorted([*SOURCES, KITE]))}")
    alpaca = None
    if settings.alpaca_api_key and settings.alpaca_api_secret:
        keys = (settings.alpaca_api_key, settings.alpaca_api_secret)
        alpaca = AlpacaAccess(settings.alpaca_data_url, settings.alpaca_data_feed, *keys)
    try:
        return make(SourceSettings(settings.simulation_seed, alpaca))
    except SourceNotConfigured as error:
        raise ConfigurationError(str(error)) from None


def _create_kite_source(settings: Settings, engine: Engine) -> PriceSource:
    """Return the prices of Zerodha, over the session of the first connection to it."""
    keys, policy = create_broker_key_ring(settings), create_broker_address_policy(settings)
    return KiteSource(partial(load_price_terms, engine, keys, policy, BrokerName.ZERODHA))


def create_market(settings: Settings, engine: Engine, readers: Readers, calendars: Calendars) -> Market:
    """Return the market of a process. Raises ConfigurationError if there is no such price source."""
    silence = timedelta(seconds=settings.max_quote_age_seconds)
    source = _create_price_source(settings, engine)
    if settings.redis_url is not None and settings.price_source in {ALPACA, KITE}:
        source = SharedFeed(settings.redis_url, source)
    return Market(source, readers, silence, calendars)


def _build_trade_limits(settings: Settings) -> TradeLimits:
    return TradeLimits(settings.max_quantity, settings.max_gmv, settings.min_price, settings.max_price)
