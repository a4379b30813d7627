"""Strategies on paper in a sandbox: the same results, and no harm from a faulty strategy."""

import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from app.sandbox.rules.limits import SandboxLimits
from app.sandbox.service.policy import SandboxPolicy
from app.strategies.service.host import run_session
from app.strategies.service.sandboxed_runner import MAX_LOG_CHARACTERS
from tests.strategies.support import build_bar_input, compare_with_replay, create_strategy_setup, run_inputs

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="the layers are those of Linux"),
    pytest.mark.any_database,
]
ON = SandboxPolicy(is_on=True)
QUICK = SandboxLimits(
    memory_bytes=300_000_000, callback_seconds=0.3, callback_wall_seconds=20, response_seconds=1,
    response_wall_seconds=30, log_bytes=2_000, frame_bytes=2_000_000,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _modules(monkeypatch):
    """Make the modules of this folder top-level ones."""
    monkeypatch.syspath_prepend(Path(__file__).parent)


def record_children(stage):
    """Return a list to which the processes of the strategy are added."""
    children, create = [], stage.host.create_session

    def note(listed, gateway):
        session = create(listed, gateway)
        children.append(session.runner.child)
        return session

    stage.host.create_session = note
    return children


def test_orders_state_restart_and_replay_equal_a_strategy_in_this_process(api, loop):
    stage = create_strategy_setup(api, loop, ON, "examples:Counter", limit=3)
    session = stage.start()
    session.deliver([build_bar_input(0)])
    (order,) = stage.orders
    assert (order["status"], order["side"], order["quantity"]) == ("FILLED", "BUY", "1")
    assert order["client_order_id"] == f"{stage.listed.strategy.id}-1-2-1"
    assert session.run_step()
    assert not session.run_step()
    assert stage.state["state"] == {"bars": 1, "fills": 1}
    session.close()
    again = stage.start()
    again.deliver([build_bar_input(1)])
    again.run_step()
    again.close()
    assert stage.state["state"] == {"bars": 2, "fills": 2}
    report = compare_with_replay(stage)
    assert (report.orders, report.fills, report.differences) == (2, 2, [])


@pytest.mark.parametrize(
    ("act", "status", "problem"),
    [
        ("fail", "ERROR", "ValueError: no more bars (hostile.py, line "),
        ("loop", "ERROR", "CallbackTooLong: A callback used more than 0.3 s of processor time. (hostile.py"),
        ("leak", "ERROR", "MemoryError:  (hostile.py, line "),
        ("flood", "PAUSED", "The strategy sent 1100 order commands at once; at most 1000 are allowed."),
        ("leave", "ERROR", "The strategy process exited unexpectedly."),
        ("send_junk", "ERROR", "The strategy process sent "),
        ("answer_twice", "ERROR", "The strategy process sent a message that is not a reaction to its input."),
        ("fill_state", "ERROR", "at most 1000000 are allowed"),
        ("store_object", "ERROR", "InvalidState: `context.state` must hold JSON values only"),
        ("print_without_end", "ERROR", "CallbackTooLong: "),
        pytest.param("resist", "ERROR", "used more than 1 s of processor time", marks=pytest.mark.long),
    ],
)
def test_strategy_that_misbehaves_ends_and_keeps_its_state(api, loop, act, status, problem, caplog):
    stage = create_strategy_setup(api, loop, ON, "hostile:Hostile", "hostile", QUICK, act=act)
    with caplog.at_level(logging.INFO, "strategy"):
        run_inputs(stage, [build_bar_input(0), build_bar_input(1)])
    shown = stage.shown
    assert shown["status"] == status
    assert problem in shown["reason"]
    assert stage.state["state"] == {"bars": 1}  # that before the failure
    assert stage.orders == []
    assert len(caplog.text) < 2 * MAX_LOG_CHARACTERS


def test_traceback_of_the_strategy_is_shown(api, loop):
    stage = create_strategy_setup(api, loop, ON, "hostile:Hostile", "hostile", act="fail")
    run_inputs(stage, [build_bar_input(0), build_bar_input(1)])
    first, *lines = stage.shown["last_error"].splitlines()
    assert first.startswith("ValueError: no more bars (hostile.py, line ")
    assert lines[-1].endswith('in fail: raise ValueError("no more bars")')


def test_another_strategy_and_orders_go_on_while_one_loops(api, loop):
    limits = QUICK._replace(callback_seconds=60, response_seconds=60)
    looping = create_strategy_setup(api, loop, ON, "hostile:Hostile", "hostile", limits, act="loop")
    counting = create_strategy_setup(api, loop, ON, "examples:Counter")
    session = counting.start()
    children = record_children(looping)
    thread = threading.Thread(target=run_inputs, args=(looping, [build_bar_input(0), build_bar_input(1)]))
    thread.start()
    while len(looping.inputs) < 3:  # the start and two bars
        time.sleep(0.05)
    session.deliver([build_bar_input(0)])
    placed = api.place_order(side="BUY", quantity="1")
    is_looping = thread.is_alive()
    os.kill(children[0].pid, signal.SIGKILL)
    thread.join()
    session.close()
    assert (counting.orders[0]["status"], placed["status"], is_looping) == ("FILLED", "FILLED", True)
    assert looping.shown["last_error"] == "The strategy process exited unexpectedly."


def test_strategy_cannot_touch_orders_of_others_or_use_their_name(api, loop):
    resting = api.place_order(type="LIMIT", limit_price="60", quantity="5", client_order_id="victim")
    stage = create_strategy_setup(api, loop, ON, "hostile:Thief", "thief", victim="victim")
    session = stage.start()
    session.deliver([build_bar_input(0)])
    session.close()
    assert api.get_order(resting["id"])["status"] == "ACCEPTED"
    (own,) = stage.orders
    assert own["client_order_id"] == f"{stage.listed.strategy.id}-1-2-1"
    assert own["user_id"] is None


def test_order_for_another_symbol_ends_the_strategy(api, loop):
    stage = create_strategy_setup(api, loop, ON, "hostile:Thief", "thief", symbol="MSFT")
    run_inputs(stage, [build_bar_input(0)])
    assert "The strategy process sent an invalid command: its symbol is unknown." in stage.shown["last_error"]


def test_latched_strategy_is_paused(api, loop):
    stage = create_strategy_setup(api, loop, ON, "examples:Counter")
    limit = {"scope": "strategy", "name": "counter", "code": "REPEATED_EXECUTIONS", "value": "1"}
    assert api.put("/limits", limit).status_code == 200
    run_inputs(stage, [build_bar_input(0), build_bar_input(1), build_bar_input(2)])
    assert stage.shown["status"] == "PAUSED"
    assert "release its latch" in stage.shown["reason"]
    assert api.place_order(side="BUY", quantity="1")["status"] == "FILLED"


def test_process_ends_with_the_session(api, loop):
    stage = create_strategy_setup(api, loop, ON, "examples:Counter")
    children = record_children(stage)
    run_session(stage.host, stage.listed, stage.gateway, lambda _: True)
    assert not Path(f"/proc/{children[0].pid}").exists()
    assert stage.shown["status"] == "ACTIVE"


def test_code_that_changes_while_its_process_starts_does_not_run(api, loop, monkeypatch):
    stage = create_strategy_setup(api, loop, ON, "examples:Counter")
    hashes = iter([stage.listed.strategy.code_hash])
    monkeypatch.setattr("app.backtests.service.loading.hash_code", lambda *_: next(hashes, "0" * 64))
    run_inputs(stage, [build_bar_input(0)])
    assert stage.shown["last_error"].startswith("The code changed since its version was made")
    assert stage.orders == []


def test_missing_package_is_named(tmp_path, api, loop, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "with_numpy.py").write_text("import numpy\n", encoding="utf-8")
    with pytest.raises(AssertionError, match="numpy cannot be imported in the sandbox: there are only"):
        create_strategy_setup(api, loop, ON, "with_numpy:Mine", "numeric")
