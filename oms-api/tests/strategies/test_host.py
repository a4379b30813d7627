"""The host of strategies: inputs, orders, restarts, errors, floods and the journal."""

import asyncio
from datetime import timedelta

import orjson
import pytest
from sqlalchemy import delete, update

from app.brokers.rules.settings import IDEAL_MARKET
from app.clock import utc_now
from app.database import set_all_tenants_scope
from app.errors import NotPlaced
from app.parity import main
from app.sandbox.service.policy import SandboxPolicy
from app.strategies.models import StrategyInputRow, StrategyStateRow
from app.strategies.queries.journal import delete_inputs, iterate_inputs
from app.strategies.rules.journal import find_broken_sequence
from app.strategies.rules.values import StrategyStatus
from app.strategies.service.drift_watch import DriftWatch
from app.strategies.service.host import _build_key, run_session
from app.strategies.service.order_gateway import ActionResult, OrderServiceUnavailable
from app.strategies.service.parity import NoJournal, ParityChecker
from app.strategies.service.session import JournalConflict
from app.strategies.service.verification import verify_journals
from tests.strategies.support import (
    build_bar_input,
    compare_with_replay,
    create_strategy_setup,
    run_inputs,
    use_catalog,
)
from tests.support.event_schemas import VALIDATORS
from tests.support.jobs import EndlessLease
from tests.support.service import build_settings

COUNTER = "tests.strategies.examples:Counter"


@pytest.fixture
def setup(api, loop):
    """Provide a desk with an active strategy, whose code runs in this process."""
    return create_strategy_setup(api, loop, SandboxPolicy(is_on=False), COUNTER, limit=3)


def test_bar_becomes_an_order_and_its_fill_an_input(setup):
    session = setup.start()
    session.deliver([build_bar_input(0)])
    (order,) = setup.orders
    assert (order["status"], order["side"], order["quantity"]) == ("FILLED", "BUY", "1")
    assert order["client_order_id"].startswith(f"{setup.listed.strategy.id}-1-")
    assert session.run_step()
    assert not session.run_step()
    assert setup.state["state"] == {"bars": 1, "fills": 1}
    assert setup.state["account"]["positions"][0][:3] == ["AAPL", "", "1.00000000"]
    assert [item.kind for item in setup.inputs] == ["start", "bars", "fill", "order"]
    assert find_broken_sequence(setup.inputs) is None


def test_restart_keeps_state_and_repeats_nothing(setup):
    first = setup.start()
    first.deliver([build_bar_input(0)])
    first.run_step()
    second = setup.start()
    assert not second.run_step()
    second.deliver([build_bar_input(1)])
    second.run_step()
    assert setup.state["state"] == {"bars": 2, "fills": 2}
    assert len(setup.orders) == 2
    with pytest.raises(JournalConflict):
        first.deliver([build_bar_input(1)])  # the journal has other inputs by now
    assert len(setup.orders) == 2


@pytest.mark.parametrize("broken", ["before the order", "after the order", "before the state"])
def test_crash_at_a_callback_leaves_orders_and_state_consistent(setup, broken, monkeypatch):
    session = setup.start()
    execute = setup.gateway.execute

    def fail_before(*_):
        raise OrderServiceUnavailable

    def fail_after(*arguments):
        execute(*arguments)
        raise OrderServiceUnavailable

    if broken == "before the state":
        monkeypatch.setattr(session, "_save_state", fail_before)
    else:
        failure = fail_before if broken == "before the order" else fail_after
        monkeypatch.setattr(setup.gateway, "execute", failure)
    with pytest.raises(OrderServiceUnavailable):
        session.deliver([build_bar_input(0)])
    monkeypatch.undo()
    restarted_host = setup.start()
    while restarted_host.run_step():
        pass
    assert setup.state["state"] == {"bars": 1, "fills": 1}
    assert len(setup.orders) == 1
    assert find_broken_sequence(setup.inputs) is None


@pytest.mark.any_database
@pytest.mark.parametrize("broken", ["the session ends", "the append fails", "after the append"])
def test_refusal_is_delivered_once_after_a_restart(setup, broken, monkeypatch):
    session = setup.start()
    refusal = ActionResult(refusal="The portfolio is closed.")
    monkeypatch.setattr(setup.gateway, "execute", lambda *_: refusal)
    session.deliver([build_bar_input(0)])
    (submitted,) = setup.state["orders"]
    monkeypatch.undo()
    if broken != "the session ends":
        step = "_append_inputs" if broken == "the append fails" else "_process_input"
        monkeypatch.setattr(session, step, _fail_with_conflict)
        with pytest.raises(JournalConflict):
            session.run_step()
        monkeypatch.undo()
    restarted_session = setup.start()
    while restarted_session.run_step():
        pass
    assert setup.state["orders"] == []
    payloads = [orjson.loads(item.payload) for item in setup.inputs if item.kind == "order"]
    assert [(item["id"], item["reason"]) for item in payloads] == [(submitted["id"], refusal.refusal)]
    assert not setup.start().run_step()


def _fail_with_conflict(*_, **__):
    raise JournalConflict


@pytest.mark.any_database
def test_error_names_file_and_line_and_needs_an_acknowledgement(setup):
    run_inputs(setup, [build_bar_input(number) for number in range(4)])
    body = setup.shown
    assert body["status"] == "ERROR"
    assert "ValueError: no more bars (examples.py, line " in body["last_error"]
    assert setup.state["state"]["bars"] == 3  # that before the failure
    assert [event["type"] for event in setup.api.get("/events", type="strategy.error").json()]
    assert setup.api.post("/strategies/counter:start", {}).status_code == 409
    response = setup.api.post("/strategies/counter:start", {"acknowledge_error": True})
    assert (response.json()["status"], response.json()["last_error"]) == ("ACTIVE", None)


@pytest.mark.any_database
def test_flood_of_orders_pauses_the_strategy(setup):
    limit = {"scope": "strategy", "name": "counter", "code": "MESSAGES_PER_MINUTE", "value": "1"}
    assert setup.api.put("/limits", limit).status_code == 200
    run_inputs(setup, [build_bar_input(0), build_bar_input(1), build_bar_input(2)])
    assert setup.shown["status"] == "PAUSED"
    assert len(setup.orders) == 1
    assert [event["type"] for event in setup.api.get("/events", type="strategy.paused").json()]


@pytest.mark.any_database
def test_flood_of_orders_without_a_limit_pauses_the_strategy_too(setup, monkeypatch):
    monkeypatch.setattr("app.strategies.service.order_gateway.MAX_MESSAGES_PER_MINUTE", 2)
    run_inputs(setup, [build_bar_input(0), build_bar_input(1), build_bar_input(2)])
    assert (setup.shown["status"], setup.shown["reason"]) == (
        *("PAUSED", "The strategy sent more than 2 messages in a minute."),
    )
    assert len(setup.orders) == 2


@pytest.mark.any_database
def test_stopped_strategy_is_notified_and_its_state_is_saved(setup):
    setup.api.post("/strategies/counter:stop", {"reason": "Evening"})
    run_session(setup.host, setup.listed, setup.gateway, lambda _: True)
    assert setup.state["state"]["stopped"] is True
    assert setup.inputs[-1].kind == "stop"


@pytest.mark.any_database
def test_host_starts_active_strategies_and_ends_paused_ones(setup, service):
    async def follow():
        await setup.host.check()
        assert len(setup.host._threads) >= 1  # nothing else shows it
        return [key.name for key in setup.host._threads]  # as above

    assert "counter" in service.client.portal.call(follow)
    assert setup.api.post("/strategies/counter:pause", {}).status_code == 200

    async def wait_for_threads():
        for _ in range(4000):
            await setup.host.check()
            if not [key for key in setup.host._threads if key.tenant_id == setup.api.tenant_id]:
                return True
            await asyncio.sleep(0.05)
        return False

    assert service.client.portal.call(wait_for_threads)
    setup.host._stop_threads()  # gives the lease back


@pytest.mark.any_database
@pytest.mark.parametrize("broken", ["the first attempt", "the process"])
def test_entries_of_a_failed_strategy_are_canceled_after_a_failure(setup, service, broken, monkeypatch):
    code = {"entry_point": "tests.strategies.examples:Replacer", "parameters": {"limit": 1}}
    assert setup.api.post("/strategies/counter:stop", {}).status_code == 200
    with use_catalog(setup.api, setup.runners.catalog):
        assert setup.api.patch("/strategies/counter", code).status_code == 200
    assert setup.api.post("/strategies/counter:start", {}).status_code == 200
    failed_key = _build_key(setup.listed)
    run_inputs(setup, [build_bar_input(0)])
    setup.host.close_run(setup.listed, StrategyStatus.ERROR, "It failed.")
    assert [order["status"] for order in setup.orders] == ["ACCEPTED"]
    if broken == "the first attempt":
        setup.host._has_loaded_ended_runs = True  # it ran the strategy, and has the lease
        setup.host._threads[failed_key] = EndedThread()
        monkeypatch.setattr("app.strategies.service.host.cancel_entries", _refuse)
        service.client.portal.call(setup.host.check)
        assert [order["status"] for order in setup.orders] == ["ACCEPTED"]
        monkeypatch.undo()
    service.client.portal.call(setup.host.check)
    setup.host._stop_threads()  # gives the lease back
    assert [order["status"] for order in setup.orders] == ["CANCELED"]
    assert not setup.host._ended_runs


class EndedThread:
    """The thread of a strategy that has failed."""

    is_alive = False

    def stop(self):
        """Do nothing: it has ended."""


async def _refuse(*_):
    raise NotPlaced("The queue is full.")


def _is_input(sequence):
    return StrategyInputRow.sequence == sequence


@pytest.mark.any_database
def test_verification_finds_a_journal_that_was_changed(setup, service):
    session = setup.start()
    session.deliver([build_bar_input(0), build_bar_input(1)])
    is_own_row = StrategyInputRow.tenant_id == setup.api.tenant_id
    for statement, problem in (
        (update(StrategyInputRow).where(is_own_row, _is_input(2)).values(payload="{}"), ("hash", "input 2")),
        (delete(StrategyInputRow).where(is_own_row, _is_input(2)), ("hash", "input 3")),
        (delete(StrategyInputRow).where(is_own_row, _is_input(3)), ("end", "input 2")),
        (
            delete(StrategyStateRow).where(StrategyStateRow.tenant_id == setup.api.tenant_id),
            ("state", "none"),
        ),
    ):
        with service.engine.connect() as connection:
            set_all_tenants_scope(connection)
            assert list(verify_journals(connection)) == []
            connection.execute(statement)
            (difference,) = verify_journals(connection)
            assert (difference.field, difference.stored) == problem
            connection.rollback()


@pytest.mark.any_database
def test_deletion_of_old_inputs_leaves_no_gap(setup, service):
    session = setup.start()
    ahead, now = timedelta(hours=1), utc_now()
    first, second, third = (build_bar_input(number) for number in range(3))
    session.deliver([first._replace(at=now + ahead), second, third._replace(at=now + 2 * ahead)])
    with service.engine.connect() as connection:
        set_all_tenants_scope(connection)
        delete_inputs(connection, now + ahead / 2)
        remaining_inputs = list(iterate_inputs(connection, setup.api.tenant_id, "counter"))
        assert [item.sequence for item in remaining_inputs] == [2, 3, 4]
        assert list(verify_journals(connection)) == []
        connection.rollback()


@pytest.mark.any_database
def test_replay_of_the_journal_gives_the_same_orders_and_fills(setup):
    session = setup.start()
    for number in range(2):
        session.deliver([build_bar_input(number)])
        session.run_step()
    restarted_host = setup.start()  # as after a restart
    restarted_host.deliver([build_bar_input(2)])
    restarted_host.run_step()
    report = compare_with_replay(setup)
    assert (report.orders, report.fills, report.differences) == (3, 3, [])
    with pytest.raises(NoJournal):
        compare_with_replay(setup, name="other")


@pytest.mark.any_database
def test_replaced_orders_and_the_paper_settings_of_the_portfolio_are_replayed(setup, monkeypatch):
    terms = {"slippage": "10", "participation": "0.5"}
    assert setup.api.patch("/portfolios/Growth", terms).status_code == 200
    session = setup.start()
    for number in range(2):
        session.deliver([build_bar_input(number)])
        session.run_step()
    assert [order["average_price"] for order in setup.orders] == ["101.101"] * 2
    report = compare_with_replay(setup)
    assert (report.orders, report.fills, report.differences) == (2, 2, [])
    code = {"entry_point": "tests.strategies.examples:Replacer"}
    assert setup.api.post("/strategies/counter:stop", {}).status_code == 200
    with use_catalog(setup.api, setup.runners.catalog):
        assert setup.api.patch("/strategies/counter", code).status_code == 200
    assert setup.api.post("/strategies/counter:start", {}).status_code == 200
    replacing = setup.start()
    for number in range(2, 5):
        replacing.deliver([build_bar_input(number)])
        replacing.run_step()
    orders = [order for order in setup.orders if order["type"] == "LIMIT"]
    assert [order["status"] for order in orders] == ["ACCEPTED", "REPLACED", "REPLACED"]
    report = compare_with_replay(setup)
    assert (report.orders, report.differences) == (5, [])
    monkeypatch.setattr("tests.strategies.examples.SIZE", 3)
    differences = [difference.kind for difference in compare_with_replay(setup).differences]
    assert differences == ["quantity"] * 3  # of the two first orders, and once of the replaced one


@pytest.mark.any_database
def test_replay_shows_differences(setup, service, monkeypatch):
    session = setup.start()
    session.deliver([build_bar_input(0)])
    session.run_step()
    monkeypatch.setattr("tests.strategies.examples.SIZE", 2)
    (difference,) = compare_with_replay(setup).differences
    assert (difference.kind, difference.live_value, difference.replayed_value) == (
        "quantity",
        "1.00000000",
        "2.00000000",
    )
    assert "not deterministic" in difference.cause
    checker = ParityChecker(service.app.state.market, setup.runners, IDEAL_MARKET)
    DriftWatch(service.engine, checker, utc_now).check(EndlessLease())
    (event,) = setup.api.get("/events", type="strategy.drift").json()
    VALIDATORS["strategy.drift"].validate(event["data"])
    assert event["data"]["differences"] == 1


@pytest.mark.any_database
def test_command_prints_differences_and_reports_them_by_its_status(setup, monkeypatch, capsys):
    settings = build_settings(
        setup.api.service.database_url, strategy_modules=("tests",), strategy_sandbox="off"
    )
    monkeypatch.setattr("app.parity.load_settings", lambda: settings)
    session = setup.start()
    session.deliver([build_bar_input(0)])
    session.run_step()
    period = ["--tenant", f"desk-{setup.api.tenant_id}", "--from", "2020-01-01", "--to", "2100-01-01"]
    assert main(["counter", *period, "--json"]) == 0
    printed = orjson.loads(capsys.readouterr().out.splitlines()[-1])  # after lines of the service's log
    assert printed == {"compared": {"orders": 1, "fills": 1}, "differences": []}
    monkeypatch.setattr("tests.strategies.examples.SIZE", 2)
    assert main(["counter", *period]) == 1
    assert "1 differences" in capsys.readouterr().out
    assert main(["nothing", *period]) == 2
    assert main(["counter", "--tenant", "nobody"]) == 2


@pytest.mark.any_database
def test_changed_code_does_not_run(setup, monkeypatch):
    monkeypatch.setattr("app.backtests.service.loading.hash_code", lambda *_: "0" * 64)
    run_inputs(setup, [])
    assert "The code changed" in setup.shown["last_error"]
