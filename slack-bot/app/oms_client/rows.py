"""Parse rows of the OMS's JSON into dataclasses, by the names and types of their fields."""

from collections.abc import Callable
from dataclasses import fields
from decimal import Decimal
from typing import Any, TypeVar

from app.errors import UnreadableResponse
from app.forms.portfolio_values import (
    ApprovalSummary,
    KillSwitchResult,
    OrderSummary,
    describe_unconfirmed_cancel,
)
from app.forms.preferences import Preferences, QuietHours
from app.forms.strategy_values import BacktestSummary, StrategyParameter, StrategySummary
from app.oms_client.wire import parse_exact_amount
from app.request_priority import pause_background_work

ROWS_WITHOUT_PAUSE = 10
T = TypeVar("T")


def _parse_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("The OMS sends texts as strings.")
    return value


def _parse_texts(value: Any) -> tuple[str, ...]:
    return tuple(map(_parse_text, value))


def _build_optional_parser(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else parse(value)


_PARSERS: dict[Any, Callable[[Any], Any]] = {
    str: _parse_text,
    bool: bool,
    int: int,
    float: float,
    Decimal: parse_exact_amount,
    tuple[str, ...]: _parse_texts,
    str | None: _build_optional_parser(_parse_text),
    Decimal | None: _build_optional_parser(parse_exact_amount),
    float | None: _build_optional_parser(float),
    tuple[str, ...] | None: _build_optional_parser(_parse_texts),
}
UNREADABLE = (KeyError, TypeError, ValueError, AttributeError)


def parse_row(kind: type[T], row: Any) -> T:
    """Parse a JSON object by the fields of a dataclass. Raises `OmsError`."""
    try:
        return _read_row(kind, row)
    except UNREADABLE:
        raise UnreadableResponse("The OMS returned a row that cannot be read.") from None


def parse_rows(kind: type[T], rows: Any) -> list[T]:
    """Parse a JSON array of objects. Raises `OmsError`."""
    if not isinstance(rows, list):
        raise UnreadableResponse("The OMS returned a value that is not a list.")
    parsed = []
    for number, row in enumerate(rows):
        if number % ROWS_WITHOUT_PAUSE == 0:
            pause_background_work()
        parsed.append(parse_row(kind, row))
    return parsed


def parse_approval_summaries(rows: Any) -> list[ApprovalSummary]:
    """Parse the orders that wait for a decision. Raises `OmsError`."""
    try:
        return [
            ApprovalSummary(
                order=_read_row(OrderSummary, row["order"]),
                requested_by=_parse_text(row["requested_by"]),
                expires_at=_parse_text(row["expires_at"]),
                rule=_parse_text(row["rule"]),
                price=_build_optional_parser(parse_exact_amount)(row["now"]["price"]),
                value=_build_optional_parser(parse_exact_amount)(row["now"]["value"]),
                reason=_build_optional_parser(_parse_text)(row.get("reason")),
            )
            for row in rows
        ]
    except UNREADABLE:
        raise UnreadableResponse("The OMS returned approvals that cannot be read.") from None


def parse_preferences(body: Any) -> Preferences:
    """Parse a person's preferences. Raises `OmsError`."""
    try:
        hours = body["quiet_hours"]
        return Preferences(
            default_portfolio=_build_optional_parser(_parse_text)(body["default_portfolio"]),
            order_type=_parse_text(body["order_type"]),
            time_in_force=_parse_text(body["time_in_force"]),
            number_format=_parse_text(body["number_format"]),
            time_zone=_parse_text(body["time_zone"]),
            quiet_hours=None
            if hours is None
            else QuietHours(_parse_text(hours["from"]), _parse_text(hours["to"])),
            notify={str(name): _parse_text(mode) for name, mode in body["notify"].items()},
            watchlists={str(name): _parse_texts(symbols) for name, symbols in body["watchlists"].items()},
        )
    except UNREADABLE:
        raise UnreadableResponse("The OMS returned preferences that cannot be read.") from None


def parse_strategy(row: Any) -> StrategySummary:
    """Parse a strategy with its statistics. Raises `OmsError`."""
    try:
        return _read_row(StrategySummary, row | row["statistics"])
    except UNREADABLE:
        raise UnreadableResponse("The OMS returned a strategy that cannot be read.") from None


def parse_parameters(row: Any) -> list[StrategyParameter]:
    """Parse the parameters of a strategy. Raises `OmsError`."""
    try:
        values = row["parameters"]
        definitions = row["parameter_definitions"]
        return [
            _read_row(
                StrategyParameter,
                definition | {"value": _format_value(values.get(definition["name"], definition["default"]))},
            )
            for definition in definitions
        ]
    except UNREADABLE:
        raise UnreadableResponse("The OMS returned parameters that cannot be read.") from None


def parse_backtest(row: Any) -> BacktestSummary:
    """Parse a backtest that is done. Raises `OmsError`."""
    try:
        statistics = row["statistics"]
        renamed = {"since": row["from"], "until": row["to"], "total_return": statistics["return"]}
        return _read_row(BacktestSummary, row | statistics | renamed)
    except UNREADABLE:
        raise UnreadableResponse("The OMS returned a backtest that cannot be read.") from None


def parse_switch_result(body: Any) -> KillSwitchResult:
    """Parse the response to a change of a kill switch. Raises `OmsError`."""
    try:
        unclosed_positions = (body.get("flattened") or {}).get("left") or []
        return KillSwitchResult(
            state=_parse_text(body["state"]),
            canceled=_parse_texts(body["canceled"]),
            pending_portfolios=_parse_texts(body.get("pending_portfolios", body.get("unsettled"))),
            unclosed=tuple(f"{row['symbol']} in {row['portfolio_name']}" for row in unclosed_positions),
            unconfirmed=tuple(describe_unconfirmed_cancel(row) for row in body.get("unconfirmed") or ()),
        )
    except UNREADABLE:
        raise UnreadableResponse("The OMS returned a kill switch that cannot be read.") from None


def _format_value(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _read_row(kind: type[T], row: Any) -> T:
    values = {column.name: _PARSERS[column.type](row[column.name]) for column in fields(kind)}  # type: ignore[arg-type]
    return kind(**values)
