"""Find the code that a backtest runs: of a registered strategy, or of an entry point."""

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Connection

from app.backtests.service.requests import StrategyCode as BacktestCode
from app.errors import FieldError, Invalid
from app.identity.rules.access import Caller, Operation
from app.strategies.queries.registry import find_strategy
from app.strategies.rules.values import Strategy
from app.strategies.service.code_catalog import CodeCatalog, parse_parameters, serialize_parameters


class BacktestCodeFinder:
    """Finds code by the name of a strategy or entry point."""

    def __init__(self, catalog: CodeCatalog) -> None:
        self._catalog = catalog

    def find(self, connection: Connection, caller: Caller, name: str) -> BacktestCode:
        """Return the code. Raise Invalid for the field `strategy`.

        Only an administrator may name code that is neither registered nor an installed entry point.
        """
        listed_strategy = find_strategy(connection, caller.tenant_id, name)
        strategy = (
            None
            if listed_strategy is None or listed_strategy.strategy.entry_point is None
            else listed_strategy.strategy
        )
        if listed_strategy is not None and not caller.sees(listed_strategy.portfolio_key or ""):
            strategy = None
        if strategy is None and name not in self._catalog.list_names():
            _require_manager(caller)
        try:
            entry_point = name if strategy is None else strategy.entry_point or ""
            code = self._catalog.load(entry_point)
        except Invalid as error:
            errors = [
                FieldError("strategy", field_error.message, field_error.code) for field_error in error.errors
            ]
            raise Invalid(error.detail, errors) from None
        known = {} if strategy is None else orjson.loads(strategy.parameters)

        def parse(values: Mapping[str, Any]) -> str:
            return serialize_parameters(parse_parameters(code.owner, {**known, **values}))

        symbols = () if strategy is None else tuple(strategy.symbol_names)
        return BacktestCode(code.entry_point, code.code_hash, symbols, _get_interval(strategy), parse)


def _require_manager(caller: Caller) -> None:
    if not caller.may(Operation.MANAGE_STRATEGIES):
        message = "There is no such strategy or entry point; list strategies with `GET /strategies`."
        raise Invalid("1 field is not valid; see `errors`.", [FieldError("strategy", message, "unknown")])


def _get_interval(strategy: Strategy | None) -> str | None:
    return None if strategy is None else strategy.interval
