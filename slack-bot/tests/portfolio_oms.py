"""The part of the OMS's REST API that shows and changes portfolios, for the fake OMS."""

from typing import Any
from urllib.parse import urlsplit

from typing_extensions import override

from tests.fake_oms import FakeOms, person_of
from tests.fake_orders import cash_json
from tests.fakes import Request, Response, build_problem

SCOPES = {
    "viewer": ["read"],
    "trader": ["read", "trade"],
    "risk": ["read", "risk"],
    "admin": ["read", "trade", "approve", "risk", "admin"],
}


def build_position(symbol: str = "AAPL", portfolio: str = "Growth", **changes: Any) -> dict[str, Any]:
    return {
        "portfolio_name": portfolio,
        "symbol": symbol,
        "product": None,
        "quantity": "100",
        "avg_cost": "171.50",
        "cost": "17150.00",
        "mark": "175.00",
        "mark_is_stale": False,
        "market_value": "17500.00",
        "unrealized_pnl": "350.00",
        "realized_pnl": "0.00",
        "stop_loss": "160.00",
        "take_profit": None,
        "currency": "USD",
        "base_currency": "USD",
    } | changes


def build_portfolio(name: str = "Growth", **changes: Any) -> dict[str, Any]:
    return {
        "portfolio_name": name,
        "base_currency": "USD",
        "cash": "982500.00",
        "equity": "1000500.00",
        "buying_power": "982500.00",
        "gross_exposure": "17500.00",
        "net_exposure": "17500.00",
        "unrealized_pnl": "350.00",
        "net_realized_pnl": "150.00",
        "day_pnl": "-20.00",
        "total_pnl": "500.00",
    } | changes


def build_order(order_id: str = "O17952360655300000c5d8cbe8", **changes: Any) -> dict[str, Any]:
    return {
        "id": order_id,
        "status": "ACCEPTED",
        "portfolio_name": "Growth",
        "symbol": "AAPL",
        "side": "BUY",
        "quantity": "10",
        "filled_quantity": "0",
        "leaves_quantity": "10",
        "average_price": None,
        "type": "LIMIT",
        "limit_price": "170.00",
        "stop_price": None,
        "trail_amount": None,
        "trail_percent": None,
        "time_in_force": "GTC",
        "role": None,
        "actor": "slack:T1:U1",
        "created_at": "2026-11-29T10:00:00.000000Z",
    } | changes


def build_trade(**changes: Any) -> dict[str, Any]:
    return {
        "trade_id": "T1697234567123ABC",
        "kind": "trade",
        "symbol": "AAPL",
        "side": "BUY",
        "quantity": "100",
        "price": "171.50",
        "realized_pnl": "0.00",
        "portfolio_name": "Growth",
        "actor": "slack:T1:U1",
        "executed_at": "2026-11-29T10:00:00.000000Z",
    } | changes


def build_profit(key: str = "Growth", **changes: Any) -> dict[str, Any]:
    return {
        "key": key,
        "currency": "USD",
        "realized_pnl": "100.00",
        "unrealized_pnl": "350.00",
        "charges": "1.00",
        "net_pnl": "449.00",
    } | changes


def build_exposure(key: str | None = "Growth") -> dict[str, Any]:
    return {
        "key": key,
        "positions": 1,
        "long_value": "17500.00",
        "short_value": "0.00",
        "gross_exposure": "17500.00",
        "net_exposure": "17500.00",
    }


def build_switch(scope: str = "tenant", name: str | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "scope": scope,
        "name": name,
        "state": "ACTIVE",
        "reason": None,
        "set_by": None,
        "set_at": None,
    } | changes


def build_quote(symbol: str = "AAPL", **changes: Any) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "bid": "174.90",
        "ask": "175.10",
        "last": None,
        "mid": "175.00",
        "age_seconds": 2.5,
        "source": "manual",
    } | changes


def build_approval(**changes: Any) -> dict[str, Any]:
    return {
        "order": build_order(status="AWAITING_APPROVAL"),
        "requested_by": "slack:T1:U2",
        "expires_at": "2026-11-29T11:00:00.000000Z",
        "rule": "above_value",
        "now": {"price": "170.00", "value": "1700.00"},
        "reason": None,
    } | changes


def build_equities(days: int) -> list[dict[str, Any]]:
    return [
        {
            "at": f"2026-11-{day + 1:02}T21:00:00.000000Z",
            "equity": f"{1_000_000 + 100 * day}.00",
            "drawdown": None,
        }
        for day in range(days)
    ]


def build_alert(**changes: Any) -> dict[str, Any]:
    return {
        "id": "A17952423050000000c1937aec",
        "kind": "price",
        "symbol": "AAPL",
        "portfolio_name": None,
        "above": "200.00",
        "below": None,
        "repeat": False,
        "deliver_to": "me",
        "status": "armed",
    } | changes


def build_preferences(**changes: Any) -> dict[str, Any]:
    return {
        "default_portfolio": None,
        "order_type": "MARKET",
        "time_in_force": "DAY",
        "number_format": "1,234.5",
        "time_zone": "UTC",
        "quiet_hours": {"from": "22:00", "to": "07:00"},
        "notify": {},
        "watchlists": {"Tech": ["AAPL"]},
    } | changes


def build_strategy(name: str = "trend", **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "code",
        "portfolio": "Growth",
        "symbols": ["AAPL"],
        "interval": "1m",
        "parameters": {"fast": 10, "slow": 30},
        "parameter_definitions": [],
        "mode": "paper",
        "status": "ACTIVE",
        "reason": None,
        "last_error": None,
        "statistics": {"trades": 12, "wins": 7, "losses": 5, "pnl_net": "1250.40", "max_drawdown": 0.012},
    } | changes


def build_backtest(**changes: Any) -> dict[str, Any]:
    return {
        "id": "B1",
        "status": "done",
        "strategy": "trend",
        "symbols": ["AAPL"],
        "interval": "1m",
        "from": "2026-10-30T00:00:00.000000Z",
        "to": "2026-11-29T00:00:00.000000Z",
        "statistics": {
            "equity_final": "1001250.40",
            "pnl_net": "1250.40",
            "charges": "12.00",
            "fills": 24,
            "trades": 12,
            "wins": 7,
            "return": 0.0012504,
            "max_drawdown": 0.012,
            "sharpe": 1.34,
        },
    } | changes


HEADING = b"trade_id,symbol\r\n"  # of a table without rows


class PortfolioOms(FakeOms):
    """Return `rows` by path, and record changes in `changes`, once per idempotency key."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {
            "/positions": [build_position()],
            "/portfolios": ["Growth"],
            "/portfolio/Growth": build_portfolio(),
            "/portfolio/Growth/history": {"points": build_equities(3)},
            "/positions/Growth/AAPL": build_position(),
            "/orders": [build_order()],
            "/trades": [build_trade()],
            "/pnl/today": {"items": [build_profit(net_pnl="349.00", realized_pnl="0.00")]},
            "/pnl": {"items": [build_profit()]},
            "/exposure": {"currency": "USD", "items": [build_exposure()], "total": build_exposure(None)},
            "/kill-switch": [build_switch()],
            "/limits": [],
            "/approvals": [],
            "/alerts": [],
            "/strategies": [build_strategy()],
            "/preferences": build_preferences(),
            "/quotes/AAPL": build_quote(),
        }
        self.exports: dict[str, bytes] = {}  # CSV files by table
        self.results: dict[str, Response] = {}  # responses to changes, by method and path
        self.changes: dict[str, tuple[str, str, Any]] = {}  # method, path and body by idempotency key
        super().__init__()

    @override
    def name_of(self, call: Request) -> str:
        path = urlsplit(call.path).path.removeprefix("/api/v1")
        return f"{call.method} {path}" if path != "/auth/me" else "me"

    @override
    def _respond(self, call: Request, person: str) -> Response:
        path = call.path.removeprefix("/api/v1")
        if path == "/auth/me":
            role = self.roles.get(person, "trader")
            return Response(
                body={
                    "actor": person,
                    "tenant_name": "Alpha Capital",
                    "name": "Ava",
                    "role": role,
                    "scopes": SCOPES[role],
                    "portfolios": None,
                }
            )
        if call.method == "GET" and path.startswith("/exports/"):
            return Response(
                body=self.exports.get(path.rpartition("/")[2], HEADING), headers={"Content-Type": "text/csv"}
            )
        if call.method == "GET":
            rows = self.rows.get(path)
            if path == "/portfolios" and "detail" in call.query:
                rows = [cash_json(each) if isinstance(each, str) else each for each in self.rows[path]]
            return build_problem(404, "Not found.", kind="not-found") if rows is None else Response(body=rows)
        key = call.headers["idempotency-key"]
        self.changes.setdefault(key, (call.method, path, call.body))
        return self.results.get(f"{call.method} {path}", build_problem(404, "Not found.", kind="not-found"))

    def reads(self) -> list[tuple[str, dict[str, str]]]:
        """Return the path and query of each read, in order."""
        return [
            (call.path.removeprefix("/api/v1"), call.query) for call in self.calls if call.method == "GET"
        ]

    def person_of_calls(self) -> set[str]:
        return {person_of(call) for call in self.calls}


def build_parameter(name: str = "fast", **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "type": "a whole number",
        "default": "10",
        "description": "Bars of the fast average.",
        "minimum": "1",
        "maximum": "500",
        "choices": [],
    } | changes
