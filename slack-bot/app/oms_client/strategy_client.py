"""Read strategies and backtests from the OMS for a person, start, pause and stop them, request backtests."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from app.errors import UnreadableResponse
from app.forms.portfolio_values import EquityPoint
from app.forms.strategy_values import (
    BacktestRequest,
    BacktestSummary,
    StrategyParameter,
    StrategySummary,
)
from app.oms_client.person_client import PersonClient
from app.oms_client.rows import parse_backtest, parse_parameters, parse_rows, parse_strategy

PAGE_ROWS = 1000
MAX_EQUITY_POINTS = 10_000


class StrategyClient(PersonClient):
    """Strategies and backtests, as the person sees them. Every method raises `OmsError`."""

    def list_strategies(self) -> list[StrategySummary]:
        """Return the strategies by name. The first represents the orders that name no strategy."""
        body = self._read_json("/strategies")
        if not isinstance(body, list):
            raise UnreadableResponse("The OMS returned a value that is not a list.")
        return [parse_strategy(row) for row in body]

    def start_strategy(self, name: str, *, acknowledges_error: bool, idempotency_key: str) -> StrategySummary:
        """Start a strategy. A strategy with the status ERROR needs `acknowledges_error`."""
        body: dict[str, Any] = {"acknowledge_error": True} if acknowledges_error else {}
        return parse_strategy(self._write_json("POST", f"{_get_path(name)}:start", body, idempotency_key))

    def pause_strategy(self, name: str, *, idempotency_key: str) -> StrategySummary:
        """Stop the callbacks of a strategy and cancel its entries."""
        return parse_strategy(self._write_json("POST", f"{_get_path(name)}:pause", {}, idempotency_key))

    def stop_strategy(self, name: str, *, idempotency_key: str) -> StrategySummary:
        """Pause a strategy, save its state, and make it INACTIVE."""
        return parse_strategy(self._write_json("POST", f"{_get_path(name)}:stop", {}, idempotency_key))

    def list_parameters(self, name: str) -> list[StrategyParameter]:
        """Return the parameters of a strategy with their values and ranges."""
        return parse_parameters(self._read_json(_get_path(name)))

    def set_parameters(self, name: str, changes: Mapping[str, str], *, idempotency_key: str) -> None:
        """Change parameters of a strategy. A running one uses them from its next input."""
        self._write_json("PATCH", _get_path(name), {"parameters": dict(changes)}, idempotency_key)

    def request_backtest(self, request: BacktestRequest, *, idempotency_key: str) -> None:
        """Queue a backtest on the bars of the OMS."""
        body: dict[str, Any] = {
            "strategy": request.strategy,
            "from": request.first_day.isoformat(),
            "to": (request.last_day + timedelta(days=1)).isoformat(),
        }
        body |= {"symbols": list(request.symbols)} if request.symbols else {}
        self._write_json("POST", "/backtests", body, idempotency_key)

    def get_backtest(self, backtest_id: str) -> BacktestSummary:
        """Return a backtest that is done."""
        return parse_backtest(self._read_json(f"/backtests/{quote(backtest_id, safe='')}"))

    def list_backtest_equities(self, backtest_id: str) -> list[EquityPoint]:
        """Return the points of the equity curve of a backtest in time order."""
        path = f"/api/v1/backtests/{quote(backtest_id, safe='')}/equity"
        points: list[EquityPoint] = []
        parameters = {"limit": str(PAGE_ROWS)}
        while len(points) < MAX_EQUITY_POINTS:
            rows, cursor = self._oms.read_page(self._person, path, parameters, self._request_id)
            points += parse_rows(EquityPoint, rows)
            if not cursor:
                break
            parameters = {"limit": str(PAGE_ROWS), "cursor": cursor}
        return points


def _get_path(name: str) -> str:
    return f"/strategies/{quote(name, safe='')}"
