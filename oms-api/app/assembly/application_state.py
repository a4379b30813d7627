"""The components in the state of the application, which the dependencies of routes return."""

from collections.abc import Sequence

from app.alerts.dependencies import PRICE_ALERT_WATCHER
from app.assembly.components import Components
from app.assembly.security import (
    create_address_policy,
    create_broker_address_policy,
    create_broker_key_ring,
    create_key_ring,
)
from app.backtests.dependencies import PREPARE_STRATEGY_CODE
from app.brokers.adapters import LOG_INS
from app.brokers.dependencies import BROKER_CONNECTIONS, BROKER_LOG_INS, CREATE_BROKER
from app.brokers.service.connections import BrokerConnections
from app.brokers.service.sessions import BrokerLogIns
from app.calendars.dependencies import CALENDARS
from app.corporate_actions.dependencies import CORPORATE_ACTIONS
from app.costs.dependencies import COST_RATES
from app.costs.service import load_rates
from app.day_close.dependencies import DAY_CLOSER
from app.day_close.service.day_closer import DayCloser
from app.events.dependencies import FEED, OPAQUE_IDS
from app.health.dependencies import HEALTH_COMPONENTS
from app.http.dependencies import CHANGES, CURSORS, EXPORTS, NOW, READERS
from app.http.exports import Exports
from app.http.pages import Cursors
from app.identity.dependencies.authentication import AUTHENTICATION, LOGIN_SERVICE, SESSIONS, STATEMENTS
from app.identity.dependencies.change_requests import CHANGE_EXECUTOR
from app.identity.rules.workspace_statements import StatementReader
from app.identity.service.change_executor import ChangeExecutor
from app.identity.service.logins import LoginService
from app.instruments.dependencies import FIND_CURRENCIES_IN_USE, IS_SYMBOL_IN_USE
from app.jobs.dependencies import JOB_RUNNER
from app.ledger.dependencies import CASH_READER, EXITS, GUARD, TRADE_SERVICE, VALUER
from app.market_data.dependencies import MARKET, PUBLISH_QUOTE
from app.orders.dependencies import CANCELLATIONS, ORDER_SERVICE
from app.orders.queries.symbol_usage import is_symbol_in_use, load_currencies_in_use
from app.orders.service.exit_prices import load_exit_prices
from app.orders.service.kill_switch_orders import KillSwitchOrders
from app.orders.service.trade_guard import OrderTradeGuard
from app.performance.dependencies import PERFORMANCE
from app.performance.service.performance_reader import PerformanceReader
from app.reconciliation.dependencies import ADOPTION
from app.reconciliation.service.adoption import Adoption
from app.reports.service import list_closed_trips
from app.risk.dependencies import CONTROLS, KILL_SWITCHES
from app.risk.queries.limits import has_limits
from app.risk.service.kill_switches import KillSwitches
from app.signals.dependencies import SIGNAL_PLANNER, SIGNALS
from app.strategies.dependencies import CODE_INSPECTOR
from app.strategies.service.backtest_code import BacktestCodeFinder
from app.strategies.service.code_inspection import CodeInspector
from app.strategies.service.environment import create_code_catalog
from app.streams.dependencies import STREAMS
from app.webhooks.dependencies import WEBHOOK_DELIVERIES, WEBHOOKS
from app.webhooks.service.deliveries import WebhookDeliveries
from app.webhooks.service.webhooks import WebhookService

State = Sequence[tuple[str, object]]


def list_state(components: Components) -> State:
    """Return the components that routes depend on, each with its name in the application's state."""
    return [
        READERS.build_state_entry(components.readers),
        CHANGES.build_state_entry(components.changes),
        CURSORS.build_state_entry(Cursors(components.settings.oms_api_key)),
        NOW.build_state_entry(components.now),
        JOB_RUNNER.build_state_entry(components.job_runner),
        HEALTH_COMPONENTS.build_state_entry(components.create_health_components()),
        *_list_access(components),
        *_list_trading(components),
        *_list_market_data(components),
        *_list_reporting(components),
        *_list_brokers(components),
        *_list_strategies(components),
    ]


def _list_access(components: Components) -> State:
    """Return the components of callers, users and tenants."""
    settings, passwords, now = components.settings, components.passwords, components.now
    transactions = components.transactions
    secrets = tuple(filter(None, (settings.oms_api_key, settings.oms_api_key_previous)))
    login_service = LoginService(
        components.sessions,
        passwords,
        components.throttle,
        components.audit_writer,
        components.readers,
        transactions,
        now,
    )
    return [
        AUTHENTICATION.build_state_entry(components.authentication),
        SESSIONS.build_state_entry(components.sessions),
        LOGIN_SERVICE.build_state_entry(login_service),
        CHANGE_EXECUTOR.build_state_entry(ChangeExecutor(transactions, passwords, secrets, now)),
        STATEMENTS.build_state_entry(StatementReader(settings.bot_statement_secret)),
    ]


def _list_trading(components: Components) -> State:
    """Return the components of trades, orders and risk."""
    order_handler = KillSwitchOrders(components.order_service, components.readers).apply
    return [
        TRADE_SERVICE.build_state_entry(components.trade_service),
        ORDER_SERVICE.build_state_entry(components.order_service),
        CANCELLATIONS.build_state_entry(components.cancellations),
        CONTROLS.build_state_entry(components.controls),
        GUARD.build_state_entry(OrderTradeGuard(components.controls)),
        KILL_SWITCHES.build_state_entry(KillSwitches(components.changes, components.controls, order_handler)),
        EXITS.build_state_entry(load_exit_prices),
        VALUER.build_state_entry(components.valuer),
        CASH_READER.build_state_entry(components.cash_reader),
        COST_RATES.build_state_entry(load_rates()),
        SIGNALS.build_state_entry(components.signals),
        SIGNAL_PLANNER.build_state_entry(components.signal_planner),
    ]


def _list_market_data(components: Components) -> State:
    """Return the components of quotes, instruments, calendars and corporate actions."""
    return [
        MARKET.build_state_entry(components.market),
        PUBLISH_QUOTE.build_state_entry(components.order_service.publish),
        PRICE_ALERT_WATCHER.build_state_entry(components.price_alert_watcher),
        FIND_CURRENCIES_IN_USE.build_state_entry(load_currencies_in_use),
        IS_SYMBOL_IN_USE.build_state_entry(is_symbol_in_use),
        CALENDARS.build_state_entry(components.calendars),
        CORPORATE_ACTIONS.build_state_entry(components.corporate_actions),
    ]


def _list_reporting(components: Components) -> State:
    """Return the components of events, webhooks, exports and performance."""
    settings, market, valuer = components.settings, components.market, components.valuer
    opaque_ids = components.streams.fanouts.opaque_ids
    return [
        FEED.build_state_entry(components.streams.fanouts.feed),
        STREAMS.build_state_entry(components.streams),
        OPAQUE_IDS.build_state_entry(opaque_ids),
        WEBHOOKS.build_state_entry(
            WebhookService(create_key_ring(settings), create_address_policy(settings))
        ),
        WEBHOOK_DELIVERIES.build_state_entry(WebhookDeliveries(opaque_ids)),
        EXPORTS.build_state_entry(
            Exports(settings.reader_threads, is_for_bots=settings.reports_slack == "on")
        ),
        PERFORMANCE.build_state_entry(PerformanceReader(market, valuer, list_closed_trips)),
        DAY_CLOSER.build_state_entry(DayCloser(market, valuer, components.calendars)),
    ]


def _list_brokers(components: Components) -> State:
    """Return the components of connections to brokers."""
    keys = create_broker_key_ring(components.settings)
    policy = create_broker_address_policy(components.settings)
    return [
        BROKER_CONNECTIONS.build_state_entry(BrokerConnections(keys, policy, has_limits)),
        CREATE_BROKER.build_state_entry(components.create_broker),
        BROKER_LOG_INS.build_state_entry(BrokerLogIns(keys, policy, LOG_INS)),
        ADOPTION.build_state_entry(Adoption(components.writer, components.readers, components.now)),
    ]


def _list_strategies(components: Components) -> State:
    """Return the components of strategies and backtests."""
    inspector = CodeInspector(create_code_catalog(components.settings))
    return [
        CODE_INSPECTOR.build_state_entry(inspector),
        PREPARE_STRATEGY_CODE.build_state_entry(BacktestCodeFinder(inspector, components.readers).prepare),
    ]
