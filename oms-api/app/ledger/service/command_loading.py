"""Lock and load the state that the commands of a batch need, in a few statements."""

from collections.abc import Iterable, Sequence
from itertools import chain

from app.identity.queries.tenants import load_opening_cash
from app.ids import generate_row_id
from app.ledger.queries import batch_statements as queries
from app.ledger.queries.canonical import format_trade
from app.ledger.rules.keys import PortfolioKey, PortfolioNameKey, PositionKey, RequestKey, TradeKey
from app.ledger.service.batch import LedgerBatch
from app.ledger.service.commands import LedgerCommand, RecordTrade, ReverseTrade
from app.ledger.service.portfolio_state import build_portfolio, build_portfolio_row
from app.ledger.service.reversals import load_reversal_inputs

_MAX_CACHED_PORTFOLIOS = 100_000


def load_commands(
    batch: LedgerBatch,
    commands: Sequence[LedgerCommand],
    cached_ids: dict[PortfolioNameKey, int],
    names: Iterable[PortfolioNameKey] = (),
    portfolio_keys: Iterable[PortfolioKey] = (),
) -> None:
    """Lock the request keys and the portfolios, then read positions and reversals under the locks.

    `names` and `portfolio_keys` are further portfolios to load. `cached_ids` are the ids of portfolios that
    earlier batches read.
    """
    records = [command for command in commands if isinstance(command, RecordTrade)]
    reversals = [command for command in commands if isinstance(command, ReverseTrade)]
    _lock_and_index_request_keys(batch, commands)
    targets = [TradeKey(command.origin.tenant_id, command.trade_id) for command in reversals]
    originals = map(format_trade, queries.load_trades(batch.connection, targets))
    batch.originals = {row.trade_key: row for row in originals}
    _resolve_portfolios(batch, records, cached_ids, names)
    locked_keys = batch.list_portfolio_keys(batch.portfolio_ids).union(portfolio_keys)
    locked_keys -= batch.new_portfolios.keys()
    batch.lock(locked_keys | {row.portfolio_key for row in batch.originals.values()})
    batch.reversals = queries.load_reversals(batch.connection, targets)
    earlier_rows = chain.from_iterable(batch.rows_by_request_key.values())
    batch.load_unlocked(row.portfolio_key for row in earlier_rows)
    batch.load_positions(_list_position_keys(batch, records))
    load_reversal_inputs(batch)
    if records:
        tenants = {command.origin.tenant_id for command in records}
        batch.guard.load(batch.connection, tenants, max(command.origin.at for command in records))
        stopped = [state for state in batch.portfolios.values() if state.trading_state != "ACTIVE"]
        if stopped:
            batch.switch_scopes = batch.guard.load_switch_scopes(batch.connection, stopped)


def build_request_key(command: LedgerCommand) -> RequestKey | None:
    """Return the key of the command's request, None if it has no idempotency key."""
    key = command.origin.idempotency_key
    return RequestKey(command.origin.tenant_id, command.kind, key) if key else None


def _get_name_key(command: RecordTrade) -> PortfolioNameKey:
    return PortfolioNameKey(command.origin.tenant_id, command.portfolio_name_key)


def _lock_and_index_request_keys(batch: LedgerBatch, commands: Sequence[LedgerCommand]) -> None:
    """Lock the request keys of the commands, and read the rows that were recorded with them.

    A transaction that records a row with such a key holds its lock until the commit.
    """
    keys = [key for key in map(build_request_key, commands) if key]
    for row in map(format_trade, queries.lock_request_keys_and_load_trades(batch.connection, keys)):
        key = RequestKey(row.tenant_id, row.kind, row.idempotency_key or "")
        batch.rows_by_request_key.setdefault(key, []).append(row)


def _resolve_portfolios(
    batch: LedgerBatch,
    records: Sequence[RecordTrade],
    cached_ids: dict[PortfolioNameKey, int],
    names: Iterable[PortfolioNameKey],
) -> None:
    name_keys = {_get_name_key(command) for command in records}.union(names)
    batch.portfolio_ids = {name: cached_ids[name] for name in name_keys if name in cached_ids}
    unknown = sorted(name_keys - batch.portfolio_ids.keys())
    if not unknown:
        return
    found_ids = queries.load_portfolio_ids(batch.connection, unknown)
    # Cache only portfolios that existed before this transaction: a new one may still be rolled back.
    if len(cached_ids) + len(found_ids) > _MAX_CACHED_PORTFOLIOS:
        cached_ids.clear()
    cached_ids.update(found_ids)
    batch.portfolio_ids |= found_ids
    if len(found_ids) < len(unknown):
        _prepare_portfolios(batch, records, set(unknown) - found_ids.keys())


def _prepare_portfolios(
    batch: LedgerBatch, records: Sequence[RecordTrade], missing: set[PortfolioNameKey]
) -> None:
    """Prepare the missing portfolios of reported trades.

    A portfolio is skipped if all its requests repeat recorded keys. The requests of a caller with limited
    portfolios never count as repeats here, because the recorded key may belong to a portfolio that this
    caller cannot see. The rows are inserted at the end, if a trade is recorded in them.
    """
    first: dict[PortfolioNameKey, RecordTrade] = {}
    request_keys = set(batch.rows_by_request_key)
    for command in records:
        key = build_request_key(command)
        if key not in request_keys or command.origin.portfolios is not None:
            first.setdefault(_get_name_key(command), command)
        if key:
            request_keys.add(key)
    cash = load_opening_cash(batch.connection, {name.tenant_id for name in first})
    for name in sorted(missing & first.keys()):
        origin, display_name = first[name].origin, first[name].portfolio_name
        portfolio = build_portfolio(
            generate_row_id(),
            name.tenant_id,
            display_name,
            name.name_key,
            opening_cash=cash[name.tenant_id],
            trading_state=batch.guard.get_opening_state(batch.connection, *name),
        )
        batch.add_new_portfolio(portfolio, build_portfolio_row(portfolio, origin.at))
        batch.portfolio_ids[name] = portfolio.id


def _list_position_keys(batch: LedgerBatch, records: Iterable[RecordTrade]) -> list[PositionKey]:
    keys = [row.position_key for row in batch.originals.values()]
    for command in records:
        portfolio_id = batch.portfolio_ids.get(_get_name_key(command))
        if portfolio_id is not None:
            keys.append(PositionKey(command.origin.tenant_id, portfolio_id, command.symbol, command.product))
    return keys
