"""Find the code that a backtest runs: of a registered strategy, or of an entry point."""

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Connection

from app.backtests.service.requests import FindCode
from app.backtests.service.requests import StrategyCode as BacktestCode
from app.database import Readers
from app.errors import FieldError, Invalid
from app.identity.rules.access import Caller, Operation
from app.strategies.queries.registry import find_strategy
from app.strategies.rules.parameters import parse_parameters, serialize_parameters
from app.strategies.rules.values import Strategy
from app.strategies.service.code_inspection import CodeInspector, Inspected, require_code


class BacktestCodeFinder:
    """Finds code by the name of a strategy or entry point."""

    def __init__(self, inspector: CodeInspector, readers: Readers) -> None:
        self._inspector, self._readers = inspector, readers

    async def prepare(self, caller: Caller, name: str) -> FindCode:
        """Inspect the code, and return the function that finds it in the transaction of a request.

        Raises Invalid for the field `strategy`. Only an administrator may name code that is neither
        registered nor an installed entry point.
        """
        strategy = await self._readers.run(
            lambda connection: _find_registered(connection, caller, name), caller.tenant_id
        )
        if strategy is None and name not in self._inspector.catalog.list_names():
            _require_manager(caller)
        inspected = await self._inspector.inspect_all([_get_entry_point(strategy, name)])
        return _PreparedCode(inspected).find


class _PreparedCode:
    """Code that was inspected."""

    def __init__(self, inspected: Inspected) -> None:
        self._inspected = inspected

    def find(self, connection: Connection, caller: Caller, name: str) -> BacktestCode:
        """Return the code. Raises Invalid for the field `strategy`."""
        strategy = _find_registered(connection, caller, name)
        try:
            code = require_code(self._inspected, _get_entry_point(strategy, name))
        except Invalid as error:
            errors = [
                FieldError("strategy", field_error.message, field_error.code) for field_error in error.errors
            ]
            raise Invalid(error.detail, errors) from None
        registered_values = {} if strategy is None else orjson.loads(strategy.parameters)

        def parse(values: Mapping[str, Any]) -> str:
            return serialize_parameters(parse_parameters(code.parameters, {**registered_values, **values}))

        symbols = () if strategy is None else tuple(strategy.symbol_names)
        return BacktestCode(code.entry_point, code.code_hash, symbols, _get_interval(strategy), parse)


def _find_registered(connection: Connection, caller: Caller, name: str) -> Strategy | None:
    """Return the strategy with code of this name, if the caller may see it."""
    registered = find_strategy(connection, caller.tenant_id, name)
    if (
        registered is None
        or registered.strategy.entry_point is None
        or not caller.can_see(registered.portfolio_name_key or "")
    ):
        return None
    return registered.strategy


def _get_entry_point(strategy: Strategy | None, name: str) -> str:
    return name if strategy is None else strategy.entry_point or ""


def _require_manager(caller: Caller) -> None:
    if not caller.is_allowed(Operation.MANAGE_STRATEGIES):
        message = "There is no such strategy or entry point; list strategies with `GET /strategies`."
        raise Invalid("1 field is not valid; see `errors`.", [FieldError("strategy", message, "unknown")])


def _get_interval(strategy: Strategy | None) -> str | None:
    return None if strategy is None else strategy.interval
