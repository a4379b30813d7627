"""Load locked portfolios into a batch context, and cache them after its commit."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set

from app.instruments.rules import InstrumentKey
from app.ledger.rules.keys import PortfolioKey, SymbolProductKey
from app.market_data.rules.rates import list_pairs
from app.orders.queries import orders as queries
from app.orders.rules.trading_sessions import Enforcement
from app.orders.rules.values import Order, OrderKey
from app.orders.service.batch_state.batch_context import BatchContext
from app.orders.service.batch_state.open_orders import PortfolioOpenOrders
from app.orders.service.batch_state.portfolio_cache import CachedPortfolio, get_version
from app.risk.queries.switches import load_switches


def load_portfolios(
    context: BatchContext, portfolio_keys: Iterable[PortfolioKey], symbols: Iterable[InstrumentKey] = ()
) -> None:
    """Load locked portfolios, the quotes that their risk checks need, and the quotes of `symbols`."""
    keys = sorted(set(portfolio_keys))
    _load_positions_and_orders(context, keys)
    instruments = {*symbols, *_list_instruments(context, keys)}
    context.load_quotes(sorted(instruments))
    _load_currency_pairs(context, keys, instruments)
    for key in keys:
        exposure = context.exposures.get(key)
        if exposure is not None:
            repriced = context.services.portfolios.prices.list_repriced(key.tenant_id, exposure)
            context.order_store.positions_to_revalue[key] = exposure.positions_to_revalue | repriced
    _load_switches(context, {key.tenant_id for key in keys})
    context.loaded.has_sessions = context.loaded.has_sessions or any(
        context.get_enforcement(key) is not Enforcement.OFF for key in keys
    )
    if context.loaded.has_sessions:
        context.services.calendars.refresh(context.connection)


def _load_positions_and_orders(context: BatchContext, keys: Sequence[PortfolioKey]) -> None:
    """Take positions, open orders and exposures from the cache, and read later changes."""
    ledger, cache = context.ledger, context.services.portfolios
    cached_portfolios = {key: cache.take(context.connection, ledger.get_portfolio(key)) for key in keys}
    read = ledger.load_all_positions(
        {key: (portfolio.positions, portfolio.last_sequence) for key, portfolio in cached_portfolios.items()}
    )
    changed = _load_open_orders(
        context, {key: portfolio.open_orders for key, portfolio in cached_portfolios.items()}
    )
    for position_key in read:
        changed.setdefault(position_key.portfolio_key, set()).add(position_key.symbol_product_key)
    for key, portfolio in cached_portfolios.items():
        if portfolio.exposure is not None and portfolio.exposure.marks_version == context.marks_version:
            portfolio.exposure.positions_to_revalue |= changed.get(key, set())
            context.exposures[key] = portfolio.exposure


def _load_open_orders(
    context: BatchContext, cached: Mapping[PortfolioKey, PortfolioOpenOrders]
) -> dict[PortfolioKey, set[SymbolProductKey]]:
    """Load the open orders of the portfolios. Return the positions whose orders were read.

    `cached` are the open orders of earlier versions of the portfolios. Only later changes are read.
    """
    loaded, outdated = dict(cached), []
    for portfolio_key, cached_orders in cached.items():
        version = context.ledger.get_portfolio(portfolio_key).open_orders_version
        if cached_orders.version != version:
            loaded[portfolio_key] = cached_orders.copy()
            loaded[portfolio_key].version = version
            outdated.append(portfolio_key)
    context.order_store.open_orders.update(loaded)
    return _read_changes(context, loaded, outdated) if outdated else {}


def _read_changes(
    context: BatchContext,
    loaded: Mapping[PortfolioKey, PortfolioOpenOrders],
    outdated: Sequence[PortfolioKey],
) -> dict[PortfolioKey, set[SymbolProductKey]]:
    stored = queries.load_row_versions(context.connection, outdated)
    changed_keys: dict[PortfolioKey, set[SymbolProductKey]] = {}
    order_keys: list[OrderKey] = []
    for portfolio_key in outdated:
        cached_orders, versions = loaded[portfolio_key], stored.get(portfolio_key, {})
        changed_keys[portfolio_key] = cached_orders.remove_missing(versions)
        outdated_ids = cached_orders.list_outdated(versions)
        order_keys += [OrderKey(portfolio_key.tenant_id, order_id) for order_id in outdated_ids]
    read: dict[PortfolioKey, list[Order]] = {}
    for order in queries.load_orders_by_id(context.connection, order_keys):
        read.setdefault(order.portfolio_key, []).append(order)
    for portfolio_key, orders in read.items():
        changed_keys[portfolio_key] |= loaded[portfolio_key].update(orders, stored[portfolio_key])
    return changed_keys


def _list_instruments(context: BatchContext, keys: Sequence[PortfolioKey]) -> list[InstrumentKey]:
    """Return the instruments of the portfolios' positions and open orders."""
    by_tenant: dict[int, set[str]] = {}
    for key in keys:
        symbols = by_tenant.setdefault(key.tenant_id, set())
        exposure = context.exposures.get(key)
        if exposure is None:
            positions = context.ledger.get_positions(key).items()
            symbols |= {position_key.symbol for position_key, position in positions if position.quantity}
        else:
            symbols |= exposure.list_symbols()
        symbols.update(context.order_store.list_symbols(key))
    return [
        InstrumentKey(tenant_id, symbol) for tenant_id, symbols in by_tenant.items() for symbol in symbols
    ]


def _load_currency_pairs(
    context: BatchContext, keys: Sequence[PortfolioKey], instruments: Set[InstrumentKey]
) -> None:
    """Load the quotes that convert the currencies of instruments and positions to the portfolios' own."""
    instruments_by_key = context.loaded.instruments
    traded = {
        (instrument.tenant_id, instruments_by_key[instrument].currency)
        for instrument in instruments
        if instruments_by_key[instrument].is_listed
    }
    for key in keys:
        exposure = context.exposures.get(key)
        if exposure is None or exposure.foreign:
            positions = context.ledger.get_positions(key).values()
            traded |= {
                (key.tenant_id, position.currency) for position in positions if position.currency is not None
            }
    bases = {(key.tenant_id, context.ledger.get_portfolio(key).base_currency) for key in keys}
    if traded - bases:
        pairs = {
            InstrumentKey(tenant_id, symbol)
            for tenant_id, base in bases
            for owner_id, currency in traded
            if owner_id == tenant_id and currency != base
            for symbol in list_pairs(currency, base)
        }
        context.load_quotes(sorted(pairs))


def _load_switches(context: BatchContext, tenants: Iterable[int]) -> None:
    missing = sorted(tenant_id for tenant_id in tenants if tenant_id not in context.loaded.switches)
    if missing:
        controls = context.services.controls
        context.loaded.switches.update(load_switches(context.connection, missing))
        controls.refresh(context.connection, missing, context.now)
        controls.refresh_latches(context.connection, missing)


def create_cache_update(context: BatchContext) -> Callable[[], None]:
    """Return a function that caches the written state of the portfolios. Call it after the commit."""
    ledger, cache, cache_entries = context.ledger, context.services.portfolios, []
    for portfolio_key in context.order_store.portfolio_keys:
        state, exposure = ledger.get_portfolio(portfolio_key), context.exposures.get(portfolio_key)
        if exposure is not None:
            exposure.positions_to_revalue = context.order_store.positions_to_revalue.get(portfolio_key, set())
            exposure.marks_version = context.marks_version
            exposure.prices_version = cache.prices.version
        cached_portfolio = CachedPortfolio(
            ledger.get_positions(portfolio_key),
            state.last_sequence,
            state.last_hash,
            context.order_store.open_orders[portfolio_key],
            exposure,
        )
        cache_entries.append((portfolio_key, get_version(context.connection, state), cached_portfolio))

    def update() -> None:
        for cache_entry in cache_entries:
            cache.put(*cache_entry)

    return update
