"""Read positions, orders, P&L and risk from the OMS for a person, and change them."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import quote

from app.errors import OutcomeUnknown, UnreadableResponse
from app.forms.alerts import AlertRequest
from app.forms.day_change import DayBar
from app.forms.numbers import format_plain
from app.forms.portfolio_values import (
    AlertSummary,
    ApprovalSummary,
    BrokerLogin,
    EquityPoint,
    ExposureSummary,
    KillSwitch,
    KillSwitchResult,
    Member,
    OrderSummary,
    PortfolioValue,
    Position,
    PositionKey,
    ProfitSummary,
    QuoteDetail,
    RiskLimit,
    TradeSummary,
)
from app.forms.preferences import Preferences
from app.forms.text_commands import TextCommand
from app.oms_client.person_client import PersonClient, QueryParameters
from app.oms_client.rows import (
    parse_approval_summaries,
    parse_preferences,
    parse_row,
    parse_rows,
    parse_switch_result,
)
from app.oms_client.strategy_client import StrategyClient

DAILY_BROKERS = frozenset({"zerodha"})  # their sessions end every day


class PortfolioClient(PersonClient):
    """Portfolios, orders, alerts and preferences, as the person sees them. Every method raises `OmsError`."""

    @property
    def strategies(self) -> StrategyClient:
        """Return a client of the strategies for the same request."""
        return StrategyClient(self._oms, self._person, self._request_id)

    def get_member(self) -> Member:
        """Return the person's role and permissions."""
        return parse_row(Member, self._read_json("/auth/me"))

    def list_positions(self, portfolio: str = "", symbol: str = "", *, limit: int) -> list[Position]:
        """Return open positions by portfolio and symbol."""
        parameters = _drop_empty(portfolio=portfolio, symbol=symbol, limit=str(limit))
        return parse_rows(Position, self._read_json("/positions", parameters) or [])

    def find_position(self, key: PositionKey) -> Position | None:
        """Return a position, None if the person sees no such position."""
        body = self._read_json(_build_position_path(key), _drop_empty(product=key.product))
        return None if body is None else parse_row(Position, body)

    def list_portfolio_names(self, *, limit: int) -> list[str]:
        """Return the names of the portfolios that the person may see."""
        return self._oms.list_portfolios(self._person, "", limit=limit, request_id=self._request_id)

    def find_portfolio(self, name: str) -> PortfolioValue | None:
        """Return a portfolio at current marks, None if the person sees no such portfolio."""
        body = self._read_json(f"/portfolio/{quote(name, safe='')}")
        return None if body is None else parse_row(PortfolioValue, body)

    def get_equity_history(self, name: str) -> list[EquityPoint]:
        """Return the equity of a portfolio at the closes of the last 30 days, and now."""
        parameters = {"period": "1M", "interval": "1d"}
        body = self._read_json(f"/portfolio/{quote(name, safe='')}/history", parameters)
        return parse_rows(EquityPoint, body.get("points") if isinstance(body, dict) else [])

    def list_orders(self, command: TextCommand, *, limit: int) -> list[OrderSummary]:
        """Return the orders that a command names, newest first: the open ones unless it asks for all."""
        parameters = _drop_empty(
            open="" if command.is_all else "true",
            symbol=command.symbol,
            side=command.side,
            portfolio=command.portfolio,
            user=self._person.actor if command.is_own else "",
            limit=str(limit),
        )
        return parse_rows(OrderSummary, self._read_json("/orders", parameters) or [])

    def find_order(self, order_id: str) -> OrderSummary | None:
        """Return an order, None if the person sees no such order."""
        body = self._read_json(f"/orders/{quote(order_id, safe='')}")
        return None if body is None else parse_row(OrderSummary, body)

    def list_trades(self, command: TextCommand, *, limit: int) -> list[TradeSummary]:
        """Return the trades that a command names, newest first."""
        parameters = _drop_empty(
            symbol=command.symbol,
            side=command.side,
            portfolio=command.portfolio,
            actor=self._person.actor if command.is_own else "",
            limit=str(limit),
        )
        parameters |= _drop_empty(**{"from": command.since, "to": command.until})
        return parse_rows(TradeSummary, self._read_json("/trades", parameters) or [])

    def list_pnl(self, portfolio: str = "", *, is_today: bool) -> list[ProfitSummary]:
        """Return the P&L by portfolio: since 00:00 UTC, or in all."""
        path, grouping = ("/pnl/today", "") if is_today else ("/pnl", "portfolio")
        body = self._read_json(path, _drop_empty(by=grouping, portfolio=portfolio))
        return parse_rows(ProfitSummary, _get_items(body))

    def list_exposures(self, portfolio: str = "") -> tuple[str, list[ExposureSummary]]:
        """Return the tenant's currency, and the exposures by portfolio with the total at the end."""
        body = self._read_json("/exposure", _drop_empty(by="portfolio", portfolio=portfolio))
        try:
            currency = str(body["currency"])
            total = body["total"]
        except (KeyError, TypeError):
            raise UnreadableResponse("The OMS returned an exposure that cannot be read.") from None
        return currency, parse_rows(ExposureSummary, [*_get_items(body), total])

    def list_limits(self, *, limit: int) -> list[RiskLimit]:
        """Return the limits that were set and that the person may see."""
        return parse_rows(RiskLimit, self._read_json("/limits", {"limit": str(limit)}) or [])

    def list_switches(self) -> list[KillSwitch]:
        """Return the kill switches: the tenant's first, then those that were ever set."""
        return parse_rows(KillSwitch, self._read_json("/kill-switch") or [])

    def list_approvals(self, *, limit: int) -> list[ApprovalSummary]:
        """Return the orders on which the person may decide, oldest first."""
        return parse_approval_summaries(self._read_json("/approvals", {"limit": str(limit)}) or [])

    def find_quote(self, symbol: str) -> QuoteDetail | None:
        """Return the newest quote of a symbol, None if there is none."""
        body = self._read_json(f"/quotes/{quote(symbol, safe='')}")
        return None if body is None else parse_row(QuoteDetail, body)

    def list_day_bars(self, symbol: str) -> list[DayBar]:
        """Return the prices of the newest two days with prices, the newest day first."""
        return self._oms.list_day_bars(self._person, symbol, request_id=self._request_id)

    def get_preferences(self) -> Preferences:
        """Return the person's preferences."""
        return parse_preferences(self._read_json("/preferences"))

    def set_watchlists(self, watchlists: Mapping[str, Sequence[str]]) -> None:
        """Replace the person's watchlists."""
        body = {"watchlists": {name: list(symbols) for name, symbols in watchlists.items()}}
        self._write_json("PUT", "/preferences", body, self._request_id)

    def set_preferences(self, changes: dict[str, Any], *, idempotency_key: str) -> Preferences:
        """Replace the preferences that `changes` names. Return all of them."""
        return parse_preferences(self._write_json("PUT", "/preferences", changes, idempotency_key))

    def export_csv(self, command: TextCommand, *, max_bytes: int) -> bytes | None:
        """Return the CSV file that a command asks for, None if it is larger than `max_bytes`."""
        parameters = _drop_empty(portfolio=command.portfolio) | _drop_empty(
            **{"from": command.since, "to": command.until}
        )
        path = f"/api/v1/exports/{command.table}"
        return self._oms.download(
            self._person, path, parameters, max_bytes=max_bytes, request_id=self._request_id
        )

    def list_alerts(self) -> list[AlertSummary]:
        """Return the person's alerts."""
        body = self._read_json("/alerts")
        return parse_rows(AlertSummary, body.get("items") if isinstance(body, dict) else body or [])

    def create_alert(self, request: AlertRequest) -> AlertSummary:
        """Create an alert."""
        body: dict[str, Any] = {"kind": request.kind, request.side: request.value}
        body |= {"repeat": request.is_repeated, "deliver_to": request.deliver_to}
        body |= _drop_empty(symbol=request.symbol, portfolio_name=request.portfolio)
        return parse_row(AlertSummary, self._write_json("POST", "/alerts", body, request.key))

    def remove_alert(self, alert_id: str) -> None:
        """Remove an alert of the person."""
        self._write_json("DELETE", f"/alerts/{quote(alert_id, safe='')}", {}, self._request_id)

    def set_exits(
        self,
        key: PositionKey,
        take_profit: Decimal | None,
        stop_loss: Decimal | None,
        *,
        idempotency_key: str,
    ) -> list[OrderSummary]:
        """Replace the exits of a position. None removes an exit. Return the orders of the exits."""
        body: dict[str, Any] = {
            "take_profit": None if take_profit is None else {"limit_price": format_plain(take_profit)},
            "stop_loss": None if stop_loss is None else {"stop_price": format_plain(stop_loss)},
        }
        body |= _drop_empty(product=key.product)
        rows = self._write_json("PUT", f"{_build_position_path(key)}/exits", body, idempotency_key)
        return parse_rows(OrderSummary, _get_orders(rows))

    def cancel_orders(self, command: TextCommand, reason: str, *, idempotency_key: str) -> list[OrderSummary]:
        """Cancel the open orders that a command names. Return the orders that were canceled."""
        if command.order_id:
            path = f"/orders/{quote(command.order_id, safe='')}/cancel"
            rows = self._write_json("POST", path, _drop_empty(reason=reason), idempotency_key)
            return [parse_row(OrderSummary, rows)]
        body = _drop_empty(
            portfolio_name=command.portfolio, symbol=command.symbol, side=command.side, reason=reason
        )
        rows = self._write_json("POST", "/orders:cancel-all", body, idempotency_key)
        return parse_rows(OrderSummary, _get_orders(rows))

    def set_switch(
        self, portfolio: str, state: str, exits: str, reason: str, *, idempotency_key: str
    ) -> KillSwitchResult:
        """Set the kill switch of a portfolio, or that of the tenant if `portfolio` is empty."""
        body: dict[str, Any] = {"scope": "portfolio" if portfolio else "tenant", "state": state}
        body |= _drop_empty(name=portfolio, exits=exits, reason=reason)
        return parse_switch_result(self._write_json("POST", "/kill-switch", body, idempotency_key))

    def list_broker_logins(self) -> list[BrokerLogin]:
        """Return the connections that need a daily login. Raises `OmsError`."""
        try:
            names = [
                item["name"]
                for item in self._read_json("/broker-connections")
                if item["broker"] in DAILY_BROKERS
            ]
            sessions = [(name, self._read_json(f"/brokers/{quote(name, safe='')}/session")) for name in names]
            return [
                BrokerLogin(name, str(body["login_url"]), str(body["expires_at"] or ""))
                for name, body in sessions
                if body is not None
            ]
        except (KeyError, TypeError):
            raise UnreadableResponse("The OMS returned broker connections that cannot be read.") from None

    def create_broker_session(self, connection: str, request_token: str, *, idempotency_key: str) -> str:
        """Log in at a broker. Return when the session ends. Raises `OmsError`."""
        body = {"request_token": request_token}
        path = f"/brokers/{quote(connection, safe='')}/session"
        try:
            return str(self._write_json("POST", path, body, idempotency_key)["expires_at"])
        except (KeyError, TypeError):
            raise OutcomeUnknown("The OMS returned a broker session in an unknown format.") from None

    def resolve_issue(self, issue_id: str, action: str, reason: str, *, idempotency_key: str) -> None:
        """Take an action on a difference from a broker's books."""
        path = f"/reconciliation/issues/{quote(issue_id, safe='')}/resolve"
        self._write_json("POST", path, {"action": action, "reason": reason}, idempotency_key)


def _drop_empty(**values: str) -> QueryParameters:
    """Return the values that are not empty."""
    return {name: value for name, value in values.items() if value}


def _build_position_path(key: PositionKey) -> str:
    return f"/positions/{quote(key.portfolio_name, safe='')}/{quote(key.symbol, safe='')}"


def _get_items(body: Any) -> Any:
    return body.get("items") if isinstance(body, dict) else body


def _get_orders(body: Any) -> Any:
    return body.get("orders") if isinstance(body, dict) else body
