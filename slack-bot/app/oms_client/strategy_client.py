"""Read strategies from the OMS for a person, and change them."""

from typing import Any
from urllib.parse import quote

from app.errors import OmsError
from app.forms.strategy_values import StrategySummary
from app.oms_client.person_client import PersonClient
from app.oms_client.rows import parse_strategy


class StrategyClient(PersonClient):
    """Strategies, as the person sees them. Every method raises `OmsError`."""

    def list_strategies(self) -> list[StrategySummary]:
        """Return the strategies by name. The first stands for the orders that name no strategy."""
        found = self._read("/strategies")
        if not isinstance(found, list):
            raise OmsError("The OMS answered something that is no list.")
        return [parse_strategy(row) for row in found]

    def start_strategy(self, name: str, *, acknowledges_error: bool, idempotency_key: str) -> StrategySummary:
        """Start a strategy. One whose status is ERROR needs `acknowledges_error`."""
        body: dict[str, Any] = {"acknowledge_error": True} if acknowledges_error else {}
        return parse_strategy(self._write("POST", f"{_get_path(name)}:start", body, idempotency_key))

    def pause_strategy(self, name: str, *, idempotency_key: str) -> StrategySummary:
        """Stop the callbacks of a strategy and cancel its entries."""
        return parse_strategy(self._write("POST", f"{_get_path(name)}:pause", {}, idempotency_key))


def _get_path(name: str) -> str:
    return f"/strategies/{quote(name, safe='')}"
