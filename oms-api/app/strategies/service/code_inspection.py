"""Find the parameters of strategies, and keep them in this process for each version of their code.

Two simultaneous requests may inspect the same code twice. A failure is kept for FAILURE_SECONDS.

An inspection runs the strategy's module in a sandbox, which takes most of a second. It is therefore never
done in a transaction: routes inspect first, and then open the transaction.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import NamedTuple

from app.backtests.errors import InvalidBacktest, StrategyFailed
from app.backtests.service.loading import load_strategy
from app.backtests.service.sandboxed import inspect_sandboxed
from app.clock import monotonic_seconds
from app.errors import Invalid
from app.identity.errors import ConcurrentChange
from app.sandbox.rules.limits import SandboxLimits
from app.strategies.errors import build_field_error
from app.strategies.rules.parameters import build_parameters
from app.strategies.service.code_catalog import CodeCatalog, FoundCode
from app.strategies.service.failures import describe_failure
from slackoms_strategy import ParameterDescription, list_parameters

MAX_INSPECTIONS = 500  # inspections; the least recently used are forgotten
MAX_PARALLEL_INSPECTIONS = 2  # processes of inspections
DISPLAY_SECONDS = 2.0  # that a response waits for what it only shows
FAILURE_SECONDS = 60.0  # until code that could not be inspected is inspected again
LIMITS = SandboxLimits(
    callback_seconds=3,
    callback_wall_seconds=10,
    response_seconds=5,
    response_wall_seconds=15,
    frame_bytes=500_000,
)
_MAX_MESSAGE_CHARACTERS = 500


class InspectedCode(NamedTuple):
    """Inspected code: its name as MODULE:CLASS, the hash of its module, and its parameters."""

    entry_point: str
    code_hash: str
    parameters: tuple[ParameterDescription, ...]


Inspected = Mapping[str, InspectedCode | Invalid]  # by entry point: the code, or why it cannot be used


def require_code(inspected: Inspected, entry_point: str) -> InspectedCode:
    """Return inspected code. Raises Invalid, and ConcurrentChange if another entry point was inspected."""
    inspected_code = inspected.get(entry_point)
    if inspected_code is None:
        raise ConcurrentChange  # somebody changed the entry point since the inspection
    if isinstance(inspected_code, Invalid):
        raise inspected_code
    return inspected_code


class _CachedResult(NamedTuple):
    result: InspectedCode | Invalid
    until: float  # a monotonic time


class _InspectionLookup(NamedTuple):
    """By entry point: the results of earlier inspections, and code that was not inspected yet."""

    cached: dict[str, InspectedCode | Invalid]
    new: dict[str, FoundCode]


class CodeInspector:
    """Inspects code. One instance per process."""

    def __init__(self, catalog: CodeCatalog) -> None:
        self.catalog = catalog
        self._cache: OrderedDict[tuple[str, str], _CachedResult] = OrderedDict()
        self._lock = Lock()
        self._executor = ThreadPoolExecutor(MAX_PARALLEL_INSPECTIONS, "inspection")

    async def inspect_all(self, names: Iterable[str | None]) -> Inspected:
        """Inspect the code of entry points, in threads. None stands for a strategy without code."""
        lookup = await self._find_results(names)
        return lookup.cached | await self._inspect_new(lookup.new)

    async def inspect_for_display(self, names: Iterable[str | None]) -> Inspected:
        """Inspect without code that takes too long: a pause must not wait for code that hangs."""
        lookup = await self._find_results(names)
        if not lookup.new:
            return lookup.cached
        try:
            return lookup.cached | await asyncio.wait_for(
                asyncio.shield(self._inspect_new(lookup.new)), DISPLAY_SECONDS
            )
        except TimeoutError:
            return lookup.cached

    def inspect(self, entry_point: str) -> InspectedCode | Invalid:
        """Return the code of an entry point, or why it cannot be used."""
        code = self._find_result(entry_point)
        return self._inspect_once(code) if isinstance(code, FoundCode) else code

    async def _find_results(self, names: Iterable[str | None]) -> "_InspectionLookup":
        wanted_names = sorted({name for name in names if name is not None})
        results = await asyncio.to_thread(lambda: {name: self._find_result(name) for name in wanted_names})
        new = {name: result for name, result in results.items() if isinstance(result, FoundCode)}
        return _InspectionLookup(
            {name: result for name, result in results.items() if not isinstance(result, FoundCode)}, new
        )

    async def _inspect_new(self, new: Mapping[str, FoundCode]) -> dict[str, InspectedCode | Invalid]:
        run = asyncio.get_running_loop().run_in_executor
        results = await asyncio.gather(
            *(run(self._executor, self._inspect_once, code) for code in new.values())
        )
        return dict(zip(new, results, strict=True))

    def _find_result(self, entry_point: str) -> InspectedCode | Invalid | FoundCode:
        """Return the result of an earlier inspection, or else the code."""
        try:
            code = self.catalog.find(entry_point)
        except Invalid as error:
            return error
        return self._find_cached(code) or code

    def _find_cached(self, code: FoundCode) -> InspectedCode | Invalid | None:
        key = (code.entry_point, code.code_hash)
        with self._lock:
            cached = self._cache.get(key)
            if cached is None or cached.until < monotonic_seconds():
                return None
            self._cache.move_to_end(key)
            return cached.result

    def _inspect_once(self, code: FoundCode) -> InspectedCode | Invalid:
        cached_result = self._find_cached(code)  # another thread may have inspected it meanwhile
        if cached_result is not None:
            return cached_result
        result = _inspect_code(code)
        seconds = FAILURE_SECONDS if isinstance(result, Invalid) else float("inf")
        with self._lock:
            self._cache[code.entry_point, code.code_hash] = _CachedResult(
                result, monotonic_seconds() + seconds
            )
            while len(self._cache) > MAX_INSPECTIONS:
                self._cache.popitem(last=False)
        return result


def _inspect_code(code: FoundCode) -> InspectedCode | Invalid:
    try:
        descriptions = _list_parameters(code)
        build_parameters(descriptions)
    except InvalidBacktest as error:
        return _build_refusal(str(error), "unknown")
    except (StrategyFailed, ValueError) as error:
        return _build_refusal(f"The strategy cannot be used: {error}", "failed")
    except Exception as error:  # noqa: BLE001  # trusted code, imported here, may raise anything
        return _build_refusal(f"The module cannot be imported: {describe_failure(error)}", "failed")
    return InspectedCode(code.entry_point, code.code_hash, tuple(descriptions))


def _list_parameters(code: FoundCode) -> list[ParameterDescription]:
    if code.is_sandboxed:
        return inspect_sandboxed(code.source, [], LIMITS)
    return [parameter.describe() for parameter in list_parameters(load_strategy(code.entry_point))]


def _build_refusal(message: str, reason: str) -> Invalid:
    return build_field_error("entry_point", message[:_MAX_MESSAGE_CHARACTERS], reason)
