"""Finds the parameters of strategies, once for each version of their code.

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
from app.strategies.errors import refuse_field
from app.strategies.rules.parameters import build_parameters
from app.strategies.service.code_catalog import CodeCatalog, FoundCode
from app.strategies.service.failures import describe_failure
from slackoms_strategy import ParameterDescription, list_parameters

MAX_KEPT = 500  # inspections; the least recently used are forgotten
MAX_AT_ONCE = 2  # processes of inspections
DISPLAY_SECONDS = 2.0  # that a response waits for what it only shows
FAILURE_SECONDS = 60.0  # until code that could not be inspected is inspected again
LIMITS = SandboxLimits(
    callback_seconds=3,
    callback_wall_seconds=10,
    answer_seconds=5,
    answer_wall_seconds=15,
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
    found = inspected.get(entry_point)
    if found is None:
        raise ConcurrentChange  # somebody changed the entry point since the inspection
    if isinstance(found, Invalid):
        raise found
    return found


class _Kept(NamedTuple):
    result: InspectedCode | Invalid
    until: float  # a monotonic time


class _Found(NamedTuple):
    """By entry point: the results of earlier inspections, and code that was not inspected yet."""

    kept: dict[str, InspectedCode | Invalid]
    new: dict[str, FoundCode]


class CodeInspector:
    """Inspects code. One instance per process."""

    def __init__(self, catalog: CodeCatalog) -> None:
        self.catalog = catalog
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._lock = Lock()
        self._executor = ThreadPoolExecutor(MAX_AT_ONCE, "inspection")

    async def inspect_all(self, names: Iterable[str | None]) -> Inspected:
        """Inspect the code of entry points, in threads. None stands for a strategy without code."""
        found = await self._find_all(names)
        return found.kept | await self._inspect_new(found.new)

    async def inspect_for_display(self, names: Iterable[str | None]) -> Inspected:
        """Do the same, but leave out what takes too long: a pause must not wait for code that hangs."""
        found = await self._find_all(names)
        if not found.new:
            return found.kept
        try:
            return found.kept | await asyncio.wait_for(
                asyncio.shield(self._inspect_new(found.new)), DISPLAY_SECONDS
            )
        except TimeoutError:
            return found.kept

    def inspect(self, entry_point: str) -> InspectedCode | Invalid:
        """Return the code of an entry point, or why it cannot be used."""
        found = self._find(entry_point)
        return self._inspect_once(found) if isinstance(found, FoundCode) else found

    async def _find_all(self, names: Iterable[str | None]) -> "_Found":
        wanted = sorted({name for name in names if name is not None})
        found = await asyncio.to_thread(lambda: {name: self._find(name) for name in wanted})
        new = {name: one for name, one in found.items() if isinstance(one, FoundCode)}
        return _Found({name: one for name, one in found.items() if not isinstance(one, FoundCode)}, new)

    async def _inspect_new(self, new: Mapping[str, FoundCode]) -> dict[str, InspectedCode | Invalid]:
        run = asyncio.get_running_loop().run_in_executor
        results = await asyncio.gather(
            *(run(self._executor, self._inspect_once, code) for code in new.values())
        )
        return dict(zip(new, results, strict=True))

    def _find(self, entry_point: str) -> InspectedCode | Invalid | FoundCode:
        """Return the result of an earlier inspection, or else the code."""
        try:
            code = self.catalog.find(entry_point)
        except Invalid as error:
            return error
        return self._find_kept(code) or code

    def _find_kept(self, code: FoundCode) -> InspectedCode | Invalid | None:
        key = (code.entry_point, code.code_hash)
        with self._lock:
            kept = self._kept.get(key)
            if kept is None or kept.until < monotonic_seconds():
                return None
            self._kept.move_to_end(key)
            return kept.result

    def _inspect_once(self, code: FoundCode) -> InspectedCode | Invalid:
        kept = self._find_kept(code)  # another thread may have inspected it meanwhile
        if kept is not None:
            return kept
        result = _inspect(code)
        seconds = FAILURE_SECONDS if isinstance(result, Invalid) else float("inf")
        with self._lock:
            self._kept[code.entry_point, code.code_hash] = _Kept(result, monotonic_seconds() + seconds)
            while len(self._kept) > MAX_KEPT:
                self._kept.popitem(last=False)
        return result


def _inspect(code: FoundCode) -> InspectedCode | Invalid:
    try:
        found = _list_parameters(code)
        build_parameters(found)
    except InvalidBacktest as error:
        return _refuse(str(error), "unknown")
    except (StrategyFailed, ValueError) as error:
        return _refuse(f"The strategy cannot be used: {error}", "failed")
    except Exception as error:  # noqa: BLE001  # trusted code, imported here, may raise anything
        return _refuse(f"The module cannot be imported: {describe_failure(error)}", "failed")
    return InspectedCode(code.entry_point, code.code_hash, tuple(found))


def _list_parameters(code: FoundCode) -> list[ParameterDescription]:
    if code.is_sandboxed:
        return inspect_sandboxed(code.source, [], LIMITS)
    return [parameter.describe() for parameter in list_parameters(load_strategy(code.entry_point))]


def _refuse(message: str, reason: str) -> Invalid:
    return refuse_field("entry_point", message[:_MAX_MESSAGE_CHARACTERS], reason)
