"""Verify the events of the ledger: each must equal the serialized row that it reports."""

from collections import Counter
from collections.abc import Hashable
from itertools import islice
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection

from app.audit.queries.entries import list_actions
from app.events.queries import iterate_unverified_events
from app.ledger.queries import audit
from app.ledger.queries.audit import RecordedEvent
from app.ledger.rules.cash import CashRow, build_cash_payload
from app.ledger.rules.chain import TradeRow
from app.ledger.rules.event_payloads import build_position_payload, build_trade_payload
from app.ledger.rules.keys import LedgerRowKey
from app.ledger.rules.stream_comparison import StreamComparison, compute_bucket
from app.ledger.rules.verification import Finding, LedgerCheck
from app.ledger.service.verification_result import VerificationResult
from app.timestamps import Timestamp

PortfolioNames = dict[tuple[int, Any], set[str]]  # all names of portfolios, by tenant id and portfolio id


class CashEventKey(NamedTuple):
    """The content of the event of a cash movement, without the portfolio's name."""

    tenant_id: int
    type: str
    payload: str
    created_at: Timestamp


class _EventContent(NamedTuple):
    """The content of an event: a key without the portfolio's name, and the portfolio's id and name.

    The id and the name are None if the payload cannot be read.
    """

    key: tuple[Any, ...]
    portfolio_id: Any = None
    portfolio_name: Any = None

    @property
    def payload(self) -> Any:
        """The payload without the portfolio's name."""
        return self.key[1]


_PROBED_BUCKETS = 8
_EVENTS_PER_CHUNK = 2_000  # events compared at once


def build_event_key(row: TradeRow) -> tuple[int, str, str]:
    """Return the expected event of a row, without the portfolio's name, which may have changed."""
    return (row.tenant_id, build_trade_payload(row, ""), row.created_at)


def build_cash_event_key(row: CashRow) -> CashEventKey:
    """Return the expected event of a cash movement, without the portfolio's name."""
    return CashEventKey(row.tenant_id, f"cash.{row.kind}", build_cash_payload(row, ""), row.created_at)


def verify_cash_events(
    connection: Connection, result: VerificationResult, expected: Counter[CashEventKey]
) -> None:
    """Check that each cash movement has one event with the same content, and that there is no other."""
    names = list_all_portfolio_names(connection)
    for event in audit.iterate_cash_events(connection):
        result.checked[LedgerCheck.CASH_MOVEMENT_EVENT] += 1
        recorded_event = RecordedEvent(event.id, event.tenant_id, event.payload, event.created_at)
        content = _read_content(recorded_event)
        _check_name(result, recorded_event, content, names)
        event_key = CashEventKey(event.tenant_id, event.type, content.payload, event.created_at)
        expected[event_key] -= 1
        if expected[event_key] < 0:
            finding = Finding(
                LedgerCheck.CASH_MOVEMENT_EVENT, event.type, content.payload, "a row of the cash ledger"
            )
            result.add_findings(f"event {event.id}", [finding])
    for tenant_id, kind, payload, _ in (event_key for event_key, count in expected.items() if count > 0):
        finding = Finding(LedgerCheck.CASH_MOVEMENT_EVENT, kind, "no event with this content", payload)
        result.add_findings(f"cash movement of tenant {tenant_id}", [finding])


def verify_events(connection: Connection, result: VerificationResult, comparison: StreamComparison) -> None:
    """Check that each row in `comparison` has one event, and each position the event of its last row."""
    names = list_all_portfolio_names(connection)
    for event in audit.iterate_recorded_events(connection):
        content = _read_content(event)
        comparison.subtract(content.key)
        _check_name(result, event, content, names)
        result.checked[LedgerCheck.EVENT] += 1
    odd = comparison.list_different_buckets()
    if odd:
        _find_odd_events(connection, result, odd)
    _verify_positions(connection, result, names)
    for row_id, kind in iterate_unverified_events(connection):
        result.add_findings(
            f"event {row_id}", [Finding(LedgerCheck.EVENT, "following", kind, "a type that shares rows")]
        )


def list_all_portfolio_names(connection: Connection) -> PortfolioNames:
    """Return all current and earlier names of each portfolio."""
    names: PortfolioNames = {}
    owners: dict[tuple[int, str], int] = {}
    for portfolio in audit.iterate_portfolio_rows(connection):
        names[portfolio.tenant_id, portfolio.id] = {portfolio.name}
        owners[portfolio.tenant_id, portfolio.name] = portfolio.id
    for entry in reversed(list(list_actions(connection, "portfolio.renamed"))):
        owner = owners.pop((entry.tenant_id, entry.after["name"]), None)
        if owner is not None:
            names[entry.tenant_id, owner].add(entry.before["name"])
            owners[entry.tenant_id, entry.before["name"]] = owner
    return names


def _read_content(event: RecordedEvent) -> _EventContent:
    try:
        fields = orjson.loads(event.payload)
        portfolio = (fields["portfolio_id"], fields["portfolio_name"])
        fields["portfolio_name"] = ""
        hash(portfolio)
    except (ValueError, KeyError, TypeError):
        return _EventContent((event.tenant_id, event.payload))
    key = (event.tenant_id, orjson.dumps(fields).decode(), event.created_at)
    return _EventContent(key, *portfolio)


def _check_name(
    result: VerificationResult, event: RecordedEvent, content: _EventContent, names: PortfolioNames
) -> None:
    name = content.portfolio_name
    portfolio_names = names.get((event.tenant_id, content.portfolio_id), set())
    if portfolio_names and name not in portfolio_names:
        finding = Finding(
            LedgerCheck.EVENT, "portfolio_name", str(name), " or ".join(sorted(portfolio_names))
        )
        result.add_findings(f"event {event.id}", [finding])


def _find_odd_events(connection: Connection, result: VerificationResult, odd: list[int]) -> None:
    """Read a few of the odd buckets again, to find the events that only the ledger or the outbox has."""
    probed = frozenset(odd[:_PROBED_BUCKETS])
    expected = Counter(
        event_key
        for row in audit.iterate_ledger_rows(connection)
        if compute_bucket(event_key := build_event_key(row)) in probed
    )
    surplus: list[tuple[int, Hashable]] = []
    for event in audit.iterate_recorded_events(connection):
        event_key = _read_content(event).key
        if compute_bucket(event_key) in probed:
            expected[event_key] -= 1
            if expected[event_key] < 0:
                surplus.append((event.id, event_key))
    missing = [event_key for event_key, count in expected.items() if count > 0]
    if missing:
        fields = orjson.loads(missing[0][1])
        portfolio = f"portfolio (id {fields['portfolio_id']})"
        location = f"trade {fields['trade_id']}, {portfolio}, sequence {fields['sequence']}"
        finding = Finding(
            LedgerCheck.EVENT, audit.TRADE_RECORDED, "no event with this content", str(missing[0])
        )
    else:
        location = f"event {surplus[0][0]}"
        finding = Finding(
            LedgerCheck.EVENT, audit.TRADE_RECORDED, str(surplus[0][1]), "one event for each row"
        )
    result.add_findings(location, [finding])
    result.failed[LedgerCheck.EVENT] = max(len(missing), len(surplus), len(odd) // 2)


def _verify_positions(connection: Connection, result: VerificationResult, names: PortfolioNames) -> None:
    newest = {
        LedgerRowKey(row.tenant_id, row.portfolio_id, row.last_sequence): row.symbol
        for row in audit.iterate_position_rows(connection)
    }
    events = audit.iterate_recorded_events(connection, audit.POSITION_CHANGED)
    while chunk := list(islice(events, _EVENTS_PER_CHUNK)):
        keyed_events = [(event, _get_row_key(event)) for event in chunk]
        rows = audit.load_trades_by_key(connection, [key for _, key in keyed_events if key])
        for event, key in keyed_events:
            _check_position(connection, result, event, rows.get(key) if key else None)
            _check_name(result, event, _read_content(event), names)
            newest.pop(key or LedgerRowKey(0, 0, 0), None)
    for key, symbol in newest.items():
        finding = Finding(
            LedgerCheck.POSITION_EVENT,
            audit.POSITION_CHANGED,
            "none",
            f"an event for sequence {key.sequence}",
        )
        result.add_findings(
            f"position {symbol} of portfolio (id {key.portfolio_id}) of tenant {key.tenant_id}", [finding]
        )


def _get_row_key(event: RecordedEvent) -> LedgerRowKey | None:
    try:
        fields = orjson.loads(event.payload)
        key = LedgerRowKey(event.tenant_id, fields["portfolio_id"], fields["sequence"])
    except (ValueError, KeyError, TypeError):
        return None
    return key if all(type(part) is int for part in key) else None


def _check_position(
    connection: Connection, result: VerificationResult, event: RecordedEvent, row: TradeRow | None
) -> None:
    result.checked[LedgerCheck.POSITION_EVENT] += 1
    stored, expected = _read_content(event).payload, row and build_position_payload(row, "")
    if row is None or stored != expected:
        finding = Finding(
            LedgerCheck.POSITION_EVENT,
            audit.POSITION_CHANGED,
            event.payload,
            expected or "a row of the ledger",
        )
        result.add_findings(f"event {event.id}", [finding])
        return
    key = row.ledger_key
    if event.created_at != row.created_at and not audit.has_trade_at(connection, key, event.created_at):
        result.add_findings(
            f"event {event.id}",
            [Finding(LedgerCheck.POSITION_EVENT, "created_at", event.created_at, row.created_at)],
        )
