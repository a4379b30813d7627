"""Inspections of code: once for each version, outside of transactions, with failures kept for a while."""

import sys
import threading

import pytest

from app.clock import monotonic_seconds
from app.errors import Invalid
from app.identity.errors import ConcurrentChange
from app.sandbox.service.policy import SandboxPolicy
from app.strategies.service import code_inspection
from app.strategies.service.code_catalog import CodeCatalog
from app.strategies.service.code_inspection import CodeInspector, InspectedCode, require_code
from tests.strategies.support import create_strategy_setup

pytestmark = pytest.mark.any_database
CODE = """
from slackoms_strategy import IntegerParameter, Strategy


class Mine(Strategy):
    size = IntegerParameter(1, "Units.", maximum=9)
"""
NAME = "inspected_code:Mine"


@pytest.fixture
def strategy_file(tmp_path, monkeypatch):
    """Provide the file of a strategy."""
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "inspected_code.py"
    path.write_text(CODE, encoding="utf-8")
    return path


@pytest.fixture
def started_inspections(monkeypatch):
    """Provide the code whose inspection was started."""
    started, inspect = [], code_inspection._inspect_code

    def note(code):
        started.append(code.code_hash)
        return inspect(code)

    monkeypatch.setattr(code_inspection, "_inspect_code", note)
    return started


def create_inspector(*, is_on=True):
    return CodeInspector(CodeCatalog(["inspected_code"], SandboxPolicy(is_on=is_on)))


@pytest.mark.skipif(sys.platform != "linux", reason="the layers are those of Linux")
def test_code_is_inspected_once_and_again_when_a_byte_changes(strategy_file, started_inspections):
    inspector = create_inspector()
    first = inspector.inspect(NAME)
    assert isinstance(first, InspectedCode)
    assert [parameter.name for parameter in first.parameters] == ["size"]
    assert inspector.inspect(NAME) == first
    strategy_file.write_bytes(CODE.removesuffix("\n").encode())  # the last newline counts
    second = inspector.inspect(NAME)
    assert isinstance(second, InspectedCode)
    assert second.code_hash != first.code_hash
    assert started_inspections == [first.code_hash, second.code_hash]
    assert "inspected_code" not in sys.modules


def test_trusted_code_has_the_same_hash_and_parameters(strategy_file):
    sandboxed, trusted = (create_inspector(is_on=is_on).inspect(NAME) for is_on in (True, False))
    sys.modules.pop("inspected_code")
    assert sandboxed == trusted


def test_failure_is_kept_for_a_minute(strategy_file, started_inspections, monkeypatch):
    strategy_file.write_text("raise RuntimeError('not today')\n", encoding="utf-8")
    inspector = create_inspector(is_on=False)
    for _ in range(2):
        refused = inspector.inspect(NAME)
        assert isinstance(refused, Invalid)
        assert "RuntimeError: not today (inspected_code.py, line 1" in refused.errors[0].message
    assert len(started_inspections) == 1
    later = monotonic_seconds() + code_inspection.FAILURE_SECONDS + 1
    monkeypatch.setattr(code_inspection, "monotonic_seconds", lambda: later)
    inspector.inspect(NAME)
    assert len(started_inspections) == 2
    with pytest.raises(Invalid):
        require_code({NAME: refused}, NAME)
    with pytest.raises(ConcurrentChange):
        require_code({}, NAME)


def test_least_recently_used_inspection_is_evicted(strategy_file, started_inspections, monkeypatch):
    monkeypatch.setattr(code_inspection, "MAX_INSPECTIONS", 2)
    inspector = create_inspector()
    for name in ("pairs", "breakout", "pairs", "rebalance", "pairs"):
        assert isinstance(inspector.inspect(name), InspectedCode)
    assert len(started_inspections) == 3
    inspector.inspect("breakout")
    assert len(started_inspections) == 4


def test_pause_does_not_wait_for_code_that_hangs(api, loop, monkeypatch):
    stage = create_strategy_setup(api, loop, SandboxPolicy(is_on=False), "pairs")
    released = threading.Event()
    monkeypatch.setattr(code_inspection, "DISPLAY_SECONDS", 0.1)
    monkeypatch.setattr(code_inspection, "_inspect_code", lambda _: released.wait(60))
    state = api.service.app.state
    previous_inspector, state.code_inspector = (
        state.code_inspector,
        CodeInspector(state.code_inspector.catalog),
    )
    try:
        response = api.post(f"/strategies/{stage.name}:pause", {})
        assert (response.json()["status"], response.json()["parameter_definitions"]) == ("PAUSED", [])
        assert not released.is_set()
    finally:
        released.set()
        state.code_inspector = previous_inspector


def test_other_writes_go_on_during_an_inspection(api, monkeypatch):
    placed = []
    inspect = code_inspection._inspect_code

    def place(code):
        placed.append(api.place_order(side="BUY", quantity="1")["status"])
        return inspect(code)

    api.open_portfolio("Growth")
    api.set_quote("AAPL", "99", "101", "100")
    monkeypatch.setattr(code_inspection, "_inspect_code", place)
    state = api.service.app.state
    previous_inspector, state.code_inspector = (
        state.code_inspector,
        CodeInspector(state.code_inspector.catalog),
    )
    body = {"name": "trend", "entry_point": "pairs", "portfolio": "Growth", "symbols": ["AAPL"]}
    try:
        assert api.post("/strategies", body).status_code == 201
    finally:
        state.code_inspector = previous_inspector
    assert placed == ["FILLED"]
