"""Requests to change strategies, as plain values."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from app.risk.rules.limits import RiskLimit
from app.strategies.rules.values import StrategyMode


class LimitRequest(NamedTuple):
    """A limit of a strategy to set or to remove."""

    limit: RiskLimit
    is_removed: bool


class NewStrategy(NamedTuple):
    """The fields of a request to create a strategy."""

    name: str
    entry_point: str
    portfolio: str
    symbols: tuple[str, ...]
    interval: str
    parameters: Mapping[str, Any]
    mode: StrategyMode
    limits: Sequence[LimitRequest]
