"""Finds the parameters of strategies, once for each version of their code.

An inspection runs the strategy's module in a sandbox, which takes most of a second. It is therefore never
done in a transaction: routes inspect first, and then open the transaction.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from threading import BoundedSemaphore, Lock
from typing import NamedTuple

from app.backtests.errors import InvalidBacktest, StrategyFailed
from app.backtests.service.loading import load_strategy
from app.backtests.service.sandboxed import inspect_sandboxed
from app.clock import monotonic_seconds
from app.errors import Invalid
from app.identity.errors import ConcurrentChange
from app.sandbox.rules.limits import Limits
from app.strategies.errors import refuse_field
from app.strategies.rules.parameters import build_parameters
from app.strategies.service.code_catalog import CodeCatalog, FoundCode
from app.strategies.service.failures import describe_failure
from slackoms_strategy import ParameterDescription, list_parameters

MAX_KEPT = 500  # inspections; the least recently used are forgotten
MAX_AT_ONCE = 2  # processes of inspections
FAILURE_SECONDS = 60.0  # until code that could not be inspected is inspected again
LIMITS = Limits(
    callback_seconds=3,
    callback_wall_seconds=10,
    answer_seconds=5,
    answer_wall_seconds=15,
    frame_bytes=500_000,
)
_MAX_MESSAGE_CHARACTERS = 500


class StrategyCode(NamedTuple):
    """Inspected code: its name as MODULE:CLASS, the hash of its module, and its parameters."""

    entry_point: str
    code_hash: str
    parameters: tuple[ParameterDescription, ...]


Inspected = Mapping[str, StrategyCode | Invalid]  # by entry point: the code, or why it cannot be used


def require_code(inspected: Inspected, entry_point: str) -> StrategyCode:
    """Return inspected code. Raise Invalid, and ConcurrentChange if another entry point was inspected."""
    found = inspected.get(entry_point)
    if found is None:
        raise ConcurrentChange  # somebody changed the entry point since the inspection
    if isinstance(found, Invalid):
        raise found
    return found


class _Kept(NamedTuple):
    result: StrategyCode | Invalid
    until: float  # a monotonic time


class CodeInspector:
    """Inspects code. One instance per process."""

    def __init__(self, catalog: CodeCatalog) -> None:
        self.catalog = catalog
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._lock, self._slots = Lock(), BoundedSemaphore(MAX_AT_ONCE)

    async def inspect_all(self, names: Iterable[str | None]) -> Inspected:
        """Inspect the code of entry points, in threads. None stands for a strategy without code."""
        wanted = {name for name in names if name is not None}
        return await asyncio.to_thread(lambda: {name: self.inspect(name) for name in sorted(wanted)})

    def inspect(self, entry_point: str) -> StrategyCode | Invalid:
        """Return the code of an entry point, or why it cannot be used."""
        try:
            code = self.catalog.find(entry_point)
        except Invalid as refusal:
            return refusal
        key = (code.entry_point, code.code_hash)
        return self._find_kept(key) or self._inspect_once(code, key)

    def _find_kept(self, key: tuple[str, str]) -> StrategyCode | Invalid | None:
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or kept.until < monotonic_seconds():
                return None
            self._kept.move_to_end(key)
            return kept.result

    def _inspect_once(self, code: FoundCode, key: tuple[str, str]) -> StrategyCode | Invalid:
        with self._slots:
            kept = self._find_kept(key)  # another thread may have inspected it meanwhile
            if kept is not None:
                return kept
            result = _inspect(code)
            seconds = FAILURE_SECONDS if isinstance(result, Invalid) else float("inf")
            with self._lock:
                self._kept[key] = _Kept(result, monotonic_seconds() + seconds)
                while len(self._kept) > MAX_KEPT:
                    self._kept.popitem(last=False)
            return result


def _inspect(code: FoundCode) -> StrategyCode | Invalid:
    try:
        found = _list_parameters(code)
        build_parameters(found)
    except InvalidBacktest as error:
        return _refuse(str(error), "unknown")
    except (StrategyFailed, ValueError) as error:
        return _refuse(f"The strategy cannot be used: {error}", "failed")
    except Exception as error:  # noqa: BLE001  # trusted code, imported here, may raise anything
        return _refuse(f"The module cannot be imported: {describe_failure(error)}", "failed")
    return StrategyCode(code.entry_point, code.code_hash, tuple(found))


def _list_parameters(code: FoundCode) -> list[ParameterDescription]:
    if code.is_sandboxed:
        return inspect_sandboxed(code.source, [], LIMITS)
    return [one.describe() for one in list_parameters(load_strategy(code.entry_point))]


def _refuse(message: str, reason: str) -> Invalid:
    return refuse_field("entry_point", message[:_MAX_MESSAGE_CHARACTERS], reason)
