"""The rows of a ledger batch that are not written yet."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.database.bulk import BulkRow, BulkWrite
from app.events.rules import NewEvent
from app.events.service.outbox import build_packed_insert
from app.ledger.queries import batch_statements as queries
from app.ledger.rules.accounting import Position
from app.ledger.rules.cash import CashRow, build_cash_payload
from app.ledger.rules.chain import TradeRow
from app.ledger.rules.event_payloads import build_position_payload, build_trade_payload
from app.ledger.rules.keys import PortfolioKey, PositionKey
from app.ledger.service.portfolio_state import PortfolioState
from app.money import format_fixed
from app.timestamps import Timestamp

StatesByPortfolio = Mapping[tuple[int, int], PortfolioState]  # by tenant id and portfolio id


@dataclass(slots=True)
class PendingRows:
    """New trades, cash movements and events, and the portfolios and positions that they change."""

    trades: list[TradeRow] = field(default_factory=list)
    cash_movements: list[CashRow] = field(default_factory=list)
    outbox_items: list[TradeRow | NewEvent] = field(default_factory=list)  # in order
    last_trades: dict[PositionKey, TradeRow] = field(default_factory=dict)  # the last one of each position
    changed_portfolios: set[PortfolioKey] = field(default_factory=set)

    def add_trade(self, portfolio_key: PortfolioKey, position_key: PositionKey, row: TradeRow) -> None:
        """Add a trade."""
        self.last_trades[position_key] = row
        self.changed_portfolios.add(portfolio_key)
        self.trades.append(row)
        self.outbox_items.append(row)

    def add_cash_movement(self, row: CashRow, portfolio_name: str) -> None:
        """Add a cash movement and its event."""
        self.cash_movements.append(row)
        header = (row.tenant_id, row.created_at, f"cash {row.portfolio_id} {row.sequence}")
        payload = build_cash_payload(row, portfolio_name)
        self.outbox_items.append(_build_event(header, f"cash.{row.kind}", payload))

    def list_portfolios_with_cash_movements(self) -> set[PortfolioKey]:
        """Return the portfolios with cash movements."""
        return {PortfolioKey(row.tenant_id, row.portfolio_id) for row in self.cash_movements}

    def build_writes(
        self, portfolios: StatesByPortfolio, positions: Mapping[tuple[int, int, str, str], Position]
    ) -> list[BulkWrite]:
        """Return the statements that write the rows, with the current portfolios and positions."""
        return [
            queries.build_trade_insert(self.trades),
            queries.build_cash_movement_insert(self.cash_movements),
            queries.build_position_upsert(
                [_build_position_row(row, positions[key]) for key, row in self.last_trades.items()]
            ),
            queries.build_portfolio_update_with_version(
                [_build_portfolio_values(portfolios[key]) for key in self.changed_portfolios]
            ),
            queries.build_cash_update(
                [
                    _build_cash_values(portfolios[key])
                    for key in sorted(self.list_portfolios_with_cash_movements())
                ]
            ),
            build_packed_insert(_build_events(self.outbox_items, self.last_trades, portfolios)),
        ]


def _build_position_row(row: TradeRow, position: Position) -> BulkRow:
    """Return the row of a position after its last trade."""
    amounts = (row.position_quantity, row.position_cost, row.position_realized_pnl)
    local = (row.currency, row.position_local_cost)
    return (*row.position_key, *amounts, row.sequence, *local, *position.times)


def _build_events(
    items: Iterable[TradeRow | NewEvent],
    last_rows: Mapping[PositionKey, TradeRow],
    portfolios: StatesByPortfolio,
) -> list[NewEvent]:
    """Return the events in order. The last trade of a position is followed by the position."""
    events: list[NewEvent] = []
    for item in items:
        if isinstance(item, NewEvent):
            events.append(item)
            continue
        name = portfolios[item.tenant_id, item.portfolio_id].name
        header = (item.tenant_id, item.created_at, item.order_id or item.trade_id)
        events.append(_build_event(header, "trade.recorded", build_trade_payload(item, name)))
        if last_rows[item.position_key] is item:
            events.append(_build_event(header, "position.changed", build_position_payload(item, name)))
    return events


def _build_event(header: tuple[int, Timestamp, str], type_: str, payload: str) -> NewEvent:
    tenant_id, created_at, subject = header
    return NewEvent(tenant_id, type_, payload, created_at, subject)


def _build_portfolio_values(state: PortfolioState) -> BulkRow:
    amounts = (format_fixed(state.cash), format_fixed(state.realized_pnl))
    chain = (state.last_sequence, state.last_hash, state.last_trade_id, state.last_created_at)
    counts = (state.total_trades, state.total_buys)
    return (*amounts, *counts, *chain, state.open_orders_version, state.fee_totals, state.tenant_id, state.id)


def _build_cash_values(state: PortfolioState) -> BulkRow:
    chain = (state.cash_sequence, state.cash_hash)
    return (format_fixed(state.cash), format_fixed(state.moved_cash), *chain, state.tenant_id, state.id)
