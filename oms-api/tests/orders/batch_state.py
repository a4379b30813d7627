"""The state of a batch without a database: built from values, and captured for comparison."""

import copy
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any
from unittest import mock

from app.calendars.service import Calendars
from app.ids import SortableIds
from app.instruments.rules import Instrument
from app.ledger.rules.keys import PortfolioNameKey
from app.ledger.service.batch import LedgerBatch
from app.ledger.service.portfolio_state import PortfolioState
from app.market_data.service import Market
from app.market_data.sources.manual import ManualSource
from app.orders.service.batch_state.batch_context import BatchContext, BatchServices
from app.orders.service.batch_state.loaded_state import LoadedState
from app.orders.service.batch_state.open_orders import PortfolioOpenOrders
from app.orders.service.risk_checks.exposure import compute_exposure
from app.orders.service.trade_guard import OrderTradeGuard
from app.risk.rules.limits import RiskLimit
from app.risk.service import controls as controls_module
from app.risk.service.controls import Controls

NOT_COMPARED = {  # what the memory is read from, what is only read, and what is derived: see `capture_state`
    "OrderStore": {"_ledger", "_connection", "_orders", "positions_to_revalue"},
    "BatchContext": {
        *(
            "ledger",
            "services",
            "connection",
            "order_store",
            "loaded",
            "request_id",
            "_command_id",
            "_messages",
        ),
        *("_message_counts", "exposures", "_symbol_states", "limits"),
    },
    "LoadedState": {
        *("unlocked_totals", "consumed_liquidity", "recent_executions", "recent_orders", "quotes"),
        *("instruments", "last_trade_prices", "order_events", "executions"),
    },
    "LedgerBatch": {
        *("connection", "guard", "get_reserved_quantity", "originals"),
        *("_ids", "_instruments", "_rates", "_cached_rates", "_ledgers"),
    },
}


def capture_state(context):
    """Return the whole memory of a batch, to be compared."""
    state = {}
    loaded = {field.name: getattr(context.loaded, field.name) for field in fields(context.loaded)}
    parts = [(type(part).__name__, vars(part)) for part in (context.ledger, context.order_store, context)]
    for kind, values in [*parts, ("LoadedState", loaded)]:
        for name, value in values.items():
            if name not in NOT_COMPARED[kind]:
                state[kind, name] = copy.deepcopy(value)
    changed = {
        key: order
        for key, order in context.order_store._orders.items()
        if key in context.order_store._changed
    }
    exposures = {
        portfolio_key: compute_exposure(context, portfolio_key).total
        for portfolio_key in sorted(context.order_store.portfolio_keys)
    }
    return {**state, "orders": changed, "exposures": exposures}


CALENDARS = Calendars.load()


class NoConnection:
    """Stands for the connection of a batch that must not run any statement: each use fails."""


def build_services(tenant_id: int, limits: list[RiskLimit], now: datetime) -> BatchServices:
    """Return the services of a process that has just read the limits of one tenant."""
    controls = Controls(lambda: 0.0)
    read: dict[str, Any] = {
        "load_limits": lambda *_: {tenant_id: limits},
        "list_active_latches": lambda *_: {tenant_id: {}},
    }
    with mock.patch.multiple(controls_module, **read):
        controls.refresh(NoConnection(), [tenant_id], now)  # type: ignore[arg-type]
    return BatchServices(Market(ManualSource(), None), controls, calendars=CALENDARS)  # type: ignore[arg-type]


def build_context(
    services: BatchServices, portfolio: PortfolioState, symbols: list[str], now: datetime
) -> BatchContext:
    """Return the context of a batch that has locked and loaded one portfolio without orders or trades."""
    guard, tenant_id = OrderTradeGuard(services.controls), portfolio.tenant_id
    ledger = LedgerBatch(NoConnection(), SortableIds(), guard)  # type: ignore[arg-type]
    ledger.portfolios[portfolio.key] = portfolio
    ledger.portfolio_ids[PortfolioNameKey(tenant_id, portfolio.name_key)] = portfolio.id
    ledger.load_all_positions({portfolio.key: ({}, portfolio.last_sequence)})
    loaded = LoadedState(portfolio_keys={portfolio.key})
    for symbol in symbols:
        loaded.quotes[tenant_id, symbol] = None
        terms = {"tick_size": Decimal("0.01"), "lot_size": Decimal(1)}
        loaded.instruments[tenant_id, symbol] = Instrument(symbol, "NASDAQ", is_listed=True, **terms)  # type: ignore[arg-type]
    context = BatchContext(ledger, services, now, loaded)
    context.order_store.open_orders.update({portfolio.key: PortfolioOpenOrders()})
    return context
