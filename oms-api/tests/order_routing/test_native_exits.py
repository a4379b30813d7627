"""Exits that Alpaca gets with their entry: they exist there before the OMS knows of the fill."""

from decimal import Decimal

import pytest

from app.orders.errors import NotReplaceable
from app.orders.rules.values import FINAL, Protection, Role, Status, Target
from tests.order_routing.alpaca import connect, find_status, run_until
from tests.order_routing.scripted_broker import Killed
from tests.orders.rig import amount

pytestmark = pytest.mark.any_database
EXITS = {"take_profit": Target(Decimal(120)), "stop_loss": Protection(Decimal(80))}


@pytest.fixture
def routing(engine, create_broker):
    return connect(engine, create_broker)


def list_exits(routing):
    """Return the exits that have not ended, the take-profit first."""
    rows = routing.rig.rows("SELECT id FROM orders WHERE role IN ('take_profit', 'stop_loss') ORDER BY id")
    found = [routing.rig.order(routing.entry._replace(id=order_id)) for (order_id,) in rows]
    working = [one for one in found if one.status not in FINAL]
    return sorted(working, key=lambda one: one.role is Role.STOP_LOSS)


def describe(routing):
    return [(one.type.value, one.status.value, int(one.leaves_quantity)) for one in list_exits(routing)]


def list_legs(alpaca):
    """Return (type, status, quantity) of the sales that have not ended at Alpaca."""
    sales = [one for one in alpaca.exchange.orders.values() if one.side == "sell" and one.is_open]
    return sorted((one.type, one.status, int(one.leaves)) for one in sales)


def find_at_alpaca(alpaca, kind):
    return next(one for one in alpaca.exchange.orders.values() if one.type == kind and one.is_open)


@pytest.fixture
def entry(routing, alpaca):
    """Place a bracket whose entry rests at Alpaca."""
    routing.entry = routing.place(limit_price="95", **EXITS)
    run_until(routing, lambda: find_status(routing, routing.entry) is Status.ACCEPTED)
    return routing.entry


@pytest.fixture
def protected(routing, alpaca, entry):
    """Fill the entry completely."""
    alpaca.exchange.quote("AAPL", "94", "95")
    run_until(routing, lambda: {status for _, status, _ in describe(routing)} == {"ACCEPTED"})
    return list_exits(routing)


def restart(routing, create_broker):
    """Let another process go on, which has nothing in memory."""
    routing.broker.close()
    routing.broker = create_broker()
    routing.restart()


def test_one_request_sends_the_entry_and_its_exits(routing, alpaca, entry):
    assert list_legs(alpaca) == [("limit", "held", 10), ("stop", "held", 10)]
    assert describe(routing) == [("LIMIT", "HELD", 10), ("STOP", "HELD", 10)]
    assert [one.order_class for one in alpaca.exchange.orders.values() if one.side == "buy"] == ["bracket"]


def test_exits_work_once_the_entry_has_filled_completely(routing, alpaca, entry):
    alpaca.exchange.fill(find_at_alpaca(alpaca, "limit").id, "4", "95")
    run_until(routing, lambda: find_status(routing, entry) is Status.PARTIALLY_FILLED)
    routing.rig.quote("94", "96", "95")
    routing.run(3)
    assert describe(routing) == [("LIMIT", "HELD", 10), ("STOP", "HELD", 10)]
    alpaca.exchange.quote("AAPL", "94", "95")
    run_until(routing, lambda: {status for _, status, _ in describe(routing)} == {"ACCEPTED"})
    assert list_legs(alpaca) == [("limit", "new", 10), ("stop", "held", 10)]


@pytest.mark.parametrize("hides", [False, True])
@pytest.mark.parametrize(
    ("prices", "filled"), [(("120", "121"), Role.TAKE_PROFIT), (("80", "81"), Role.STOP_LOSS)]
)
def test_fill_of_one_exit_ends_the_other(routing, alpaca, protected, prices, filled, hides):
    alpaca.faults.orders.hides_held_legs = hides
    alpaca.exchange.quote("AAPL", *prices)
    run_until(routing, lambda: not list_exits(routing))
    routing.run(3)
    ended = {one.role: find_status(routing, one) for one in protected}
    other = Role.STOP_LOSS if filled is Role.TAKE_PROFIT else Role.TAKE_PROFIT
    assert ended == {filled: Status.FILLED, other: Status.CANCELED}
    assert [amount(quantity) for _, quantity in routing.executions()] == [10, 10]
    assert list_legs(alpaca) == []


def test_part_of_an_exit_reduces_the_other(routing, alpaca, protected):
    alpaca.exchange.fill(find_at_alpaca(alpaca, "limit").id, "4", "120")
    run_until(routing, lambda: describe(routing)[0][1] == "PARTIALLY_FILLED")
    assert describe(routing) == [("LIMIT", "PARTIALLY_FILLED", 6), ("STOP", "ACCEPTED", 6)]
    assert list_legs(alpaca) == [("limit", "partially_filled", 6), ("stop", "held", 6)]


@pytest.mark.parametrize("after", [(), ("120", "121"), ("80", "81")])
def test_exits_exist_while_the_oms_is_down(routing, alpaca, entry, create_broker, after):
    routing.broker.close()  # the process ends; nothing reads the fill of the entry
    alpaca.exchange.quote("AAPL", "94", "95")
    assert list_legs(alpaca) == [("limit", "new", 10), ("stop", "held", 10)]
    if after:
        alpaca.exchange.quote("AAPL", *after)
        assert list_legs(alpaca) == []
    restart(routing, create_broker)
    run_until(routing, lambda: find_status(routing, entry) is Status.FILLED)
    if after:
        run_until(routing, lambda: not list_exits(routing))
        assert [amount(quantity) for _, quantity in routing.executions()] == [10, 10]
    else:
        run_until(routing, lambda: {status for _, status, _ in describe(routing)} == {"ACCEPTED"})
    assert len([one for one in alpaca.exchange.orders.values() if one.side == "sell"]) == 2


@pytest.mark.parametrize("kill", ["before", "after"])
def test_fill_and_its_exits_survive_a_kill_at_the_commit(routing, alpaca, entry, create_broker, kill):
    alpaca.exchange.quote("AAPL", "94", "95")
    routing.kills = [kill]
    for _ in range(3):
        routing.run(1)
    run_until(routing, lambda: {status for _, status, _ in describe(routing)} == {"ACCEPTED"})
    assert list_legs(alpaca) == [("limit", "new", 10), ("stop", "held", 10)]


@pytest.mark.parametrize(
    "fault", ["cut_before", "cut_after", "status", "status_after", "killed before", "killed after"]
)
def test_outcome_of_a_bracket_becomes_known(routing, alpaca, create_broker, fault):
    submit = routing.broker.submit

    def kill(order, at):
        routing.broker.submit = submit
        if fault == "killed after":
            submit(order, at)
        raise Killed

    if fault.startswith("killed"):
        routing.broker.submit = kill
    else:
        alpaca.faults.add(fault, method="POST", status=504)
    routing.entry = routing.place(limit_price="95", **EXITS)
    was_lost = fault in {"cut_before", "status", "killed before"}
    expected = Status.REJECTED if was_lost else Status.ACCEPTED
    for _ in range(3):
        routing.run(1)
    if fault.startswith("killed"):
        restart(routing, create_broker)
    routing.rig.tick(seconds=61 if was_lost else 1)
    run_until(routing, lambda: find_status(routing, routing.entry) is expected)
    if was_lost:
        assert (list_exits(routing), list_legs(alpaca)) == ([], [])
        return
    assert describe(routing) == [("LIMIT", "HELD", 10), ("STOP", "HELD", 10)]
    alpaca.exchange.quote("AAPL", "94", "95")
    run_until(routing, lambda: {status for _, status, _ in describe(routing)} == {"ACCEPTED"})
    alpaca.exchange.quote("AAPL", "80", "81")
    run_until(routing, lambda: not list_exits(routing))
    assert [amount(quantity) for _, quantity in routing.executions()] == [10, 10]


def test_cancel_before_the_fill_ends_the_bracket(routing, alpaca, entry):
    routing.rig.cancel(entry)
    run_until(routing, lambda: find_status(routing, entry) is Status.CANCELED)
    assert (list_exits(routing), list_legs(alpaca)) == ([], [])


def test_cancel_of_a_held_exit_ends_the_bracket(routing, alpaca, entry):
    routing.rig.cancel(list_exits(routing)[0])
    run_until(routing, lambda: find_status(routing, entry) is Status.CANCELED)
    run_until(routing, lambda: not list_exits(routing))
    assert list_legs(alpaca) == []


@pytest.mark.parametrize("hides", [False, True])
def test_entry_that_ends_after_a_part_is_protected_for_that_part(routing, alpaca, entry, hides):
    alpaca.faults.orders.hides_held_legs = hides
    alpaca.exchange.fill(find_at_alpaca(alpaca, "limit").id, "4", "95")
    run_until(routing, lambda: find_status(routing, entry) is Status.PARTIALLY_FILLED)
    routing.rig.cancel(entry)
    run_until(routing, lambda: describe(routing) == [("LIMIT", "ACCEPTED", 4), ("STOP", "ACCEPTED", 4)])
    assert list_legs(alpaca) == [("limit", "new", 4), ("stop", "held", 4)]


def test_stop_of_a_part_ends_the_entry(routing, alpaca, entry):
    alpaca.exchange.fill(find_at_alpaca(alpaca, "limit").id, "4", "95")
    run_until(routing, lambda: find_status(routing, entry) is Status.PARTIALLY_FILLED)
    routing.rig.quote("79", "81", "80")
    run_until(routing, lambda: describe(routing) == [("LIMIT", "ACCEPTED", 4), ("STOP", "ACCEPTED", 4)])
    assert find_status(routing, entry) is Status.CANCELED


def test_held_exit_is_changed_once_it_works(routing, alpaca, entry):
    stop = list_exits(routing)[1]
    assert isinstance(routing.rig.replace(stop, stop_price="85"), NotReplaceable)
    alpaca.exchange.quote("AAPL", "94", "95")
    run_until(routing, lambda: describe(routing)[1][1] == "ACCEPTED")
    routing.rig.replace(stop, stop_price="85")
    run_until(
        routing, lambda: list_exits(routing)[1].stop_price == 85 and describe(routing)[1][1] == "ACCEPTED"
    )
    assert find_at_alpaca(alpaca, "stop").stop_price == 85
    alpaca.exchange.quote("AAPL", "85", "86")
    run_until(routing, lambda: not list_exits(routing))
    assert [amount(quantity) for _, quantity in routing.executions()] == [10, 10]


def test_person_who_cancels_one_exit_keeps_the_other(routing, alpaca, protected):
    routing.rig.cancel(protected[0])
    run_until(routing, lambda: describe(routing) == [("STOP", "ACCEPTED", 10)])
    assert list_legs(alpaca) == [("stop", "new", 10)]


def test_sale_of_a_part_cuts_the_exits(routing, alpaca, protected):
    alpaca.exchange.positions["AAPL"].qty += 4  # shares of another owner: Alpaca reserves ours for the exits
    alpaca.exchange.quote("AAPL", "95", "96")
    sale = routing.place(side="SELL", quantity="4", limit_price="95")
    run_until(routing, lambda: find_status(routing, sale) is Status.FILLED)
    run_until(routing, lambda: describe(routing) == [("LIMIT", "ACCEPTED", 6), ("STOP", "ACCEPTED", 6)])
    assert list_legs(alpaca) == [("limit", "new", 6), ("stop", "held", 6)]


def test_exits_that_ended_with_the_day_are_sent_again(routing, alpaca):
    routing.entry = routing.place(limit_price="95", time_in_force="DAY", **EXITS)
    alpaca.exchange.quote("AAPL", "94", "95")
    run_until(routing, lambda: {status for _, status, _ in describe(routing)} == {"ACCEPTED"})
    alpaca.exchange.expire(find_at_alpaca(alpaca, "limit").id)
    run_until(routing, lambda: {status for _, status, _ in describe(routing)} == {"HELD"})
    assert list_legs(alpaca) == []
    routing.rig.quote("94", "96", "95")
    run_until(routing, lambda: describe(routing) == [("LIMIT", "ACCEPTED", 10), ("STOP", "ACCEPTED", 10)])
    assert [one.time_in_force for one in alpaca.exchange.orders.values() if one.is_open] == ["gtc", "gtc"]
