"""Read a person's working orders, positions and cash from the REST API of the OMS."""

from collections.abc import Iterable
from typing import Any, cast
from urllib.parse import quote

import httpx

from simulator.config import Settings, is_loopback
from simulator.workspace import Person

TIMEOUT_SECONDS = 2.0
MAX_ROWS = 200
MAX_VALUED_PORTFOLIOS = 20  # each takes a call
ORDER_FIELDS = (
    *("id", "parent_id", "role", "portfolio_name", "symbol", "side", "quantity", "filled_quantity"),
    *("type", "limit_price", "stop_price", "trail_amount", "trail_percent", "trail_level"),
    *("time_in_force", "status"),
)
POSITION_FIELDS = (
    *("portfolio_name", "symbol", "product", "quantity", "avg_cost", "mark", "mark_is_stale"),
    *("market_value", "unrealized_pnl", "base_currency"),
)
PORTFOLIO_FIELDS = ("portfolio_name", "base_currency", "cash")
Json = dict[str, Any]


class OmsReadError(Exception):
    """The OMS did not return the data. The message states the reason."""


class OmsView:
    """A view of the OMS. Each call is made for a person, so that it returns only what that person may see."""

    def __init__(self, settings: Settings) -> None:
        self.is_configured = bool(settings.oms_api_url and settings.oms_api_key)
        self._oms = httpx.Client(
            base_url=settings.oms_api_url,
            headers={"X-API-Key": settings.oms_api_key, "Accept": "application/json"},
            timeout=TIMEOUT_SECONDS,
            trust_env=not is_loopback(httpx.URL(settings.oms_api_url).host),
        )

    def load_data(self, person: Person) -> Json:
        """Return the `orders`, `positions` and `portfolios` of a person.

        `more` names the lists that are incomplete. `problem` is a sentence if the data could not be read.
        Orders are sorted newest first, with child orders after their parent. Amounts are the texts of the
        OMS.
        """
        try:
            orders, more_orders = self._load_rows("orders", {"open": "true"}, ORDER_FIELDS, person)
            positions, more_positions = self._load_rows("positions", {}, POSITION_FIELDS, person)
            portfolios, more_portfolios = self._load_rows(
                "portfolios", {"detail": "true"}, PORTFOLIO_FIELDS, person
            )
            for portfolio in portfolios[:MAX_VALUED_PORTFOLIOS]:
                portfolio["day_pnl"] = self._load_day_pnl(portfolio["portfolio_name"], person)
        except OmsReadError as error:
            return {"orders": [], "positions": [], "portfolios": [], "more": [], "problem": str(error)}
        is_incomplete = {"orders": more_orders, "positions": more_positions, "portfolios": more_portfolios}
        rows = {"orders": list(group_child_orders(orders)), "positions": positions, "portfolios": portfolios}
        return rows | {"more": [name for name in is_incomplete if is_incomplete[name]], "problem": ""}

    def close(self) -> None:
        """Close the connections."""
        self._oms.close()

    def _load_day_pnl(self, portfolio_name: str, person: Person) -> str | None:
        """Return the day P&L of a portfolio, or None if it has none."""
        response, portfolio = self._load_json(f"portfolio/{quote(portfolio_name, safe='')}", {}, person)
        is_valid = isinstance(portfolio, dict) and "day_pnl" in portfolio
        if response.status_code != httpx.codes.OK or not is_valid:
            raise OmsReadError(_format_refusal(portfolio, response.status_code))
        return cast("str | None", portfolio["day_pnl"])

    def _load_rows(
        self, path: str, query: dict[str, str], field_names: tuple[str, ...], person: Person
    ) -> tuple[list[Json], bool]:
        """Return the first page, and whether there is another one."""
        response, rows = self._load_json(path, query | {"limit": str(MAX_ROWS)}, person)
        if response.status_code != httpx.codes.OK or not isinstance(rows, list):
            raise OmsReadError(_format_refusal(rows, response.status_code))
        return [{name: row.get(name) for name in field_names} for row in rows], "next" in response.links

    def _load_json(self, path: str, query: dict[str, str], person: Person) -> tuple[httpx.Response, Any]:
        """Return the response and its JSON."""
        headers = {"X-On-Behalf-Of": f"slack:{person.team.id}:{person.id}"}
        try:
            response = self._oms.get(f"/api/v1/{path}", params=query, headers=headers)
            return response, response.json()
        except httpx.HTTPError:
            raise OmsReadError("The OMS does not respond.") from None
        except ValueError:
            raise OmsReadError("The OMS returned a response that is not JSON.") from None


def group_child_orders(orders: list[Json]) -> Iterable[Json]:
    """Yield the orders in their order, but each child order after its parent if the parent is listed."""
    listed = {order["id"] for order in orders}
    legs: dict[str, list[Json]] = {}
    for order in reversed(orders):
        if order["parent_id"] in listed:
            legs.setdefault(order["parent_id"], []).append(order)
    for order in orders:
        if order["parent_id"] not in listed:
            yield order
            yield from legs.get(order["id"], [])


def _format_refusal(response: object, status: int) -> str:
    detail = response.get("detail") if isinstance(response, dict) else None
    return (
        f"The OMS returned {status}: {detail}" if isinstance(detail, str) else f"The OMS returned {status}."
    )
