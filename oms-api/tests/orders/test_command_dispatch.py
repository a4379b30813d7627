"""Deciding on ordinary commands reads only what was loaded before."""

from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from app.database import unit_of_work
from app.ledger.errors import TradingHalted
from app.ledger.rules.corporate_actions import ActionKind, CorporateActionTerms
from app.orders.errors import NotAtBroker, NotOverridable
from app.orders.queries.executions import list_executions_of_orders
from app.orders.queries.orders import list_open_orders_in_symbol
from app.orders.rules.cancellations import StoredCancellation
from app.orders.rules.order_views import OrderChanges
from app.orders.rules.values import GroupKind, Role, Status, StopLoss, TakeProfit
from app.orders.service.commands import (
    AdoptOrder,
    ApplyCorporateAction,
    BustExecution,
    CancelAll,
    CancelInPortfolio,
    CancelOrder,
    ClosePosition,
    CorrectExecution,
    DecideApproval,
    PlaceGroup,
    PlaceOrder,
    PreviewOrder,
    ReplaceOrder,
    RequestOverride,
    ReviewApprovals,
)
from app.orders.service.internal_commands import CheckLosses, ExpireOrders, MatchQuote
from app.risk.rules.limits import LimitCode, LimitScope, RiskLimit
from app.risk.service.limit_store import set_limit
from app.timestamps import format_timestamp
from tests.orders.commands import build_record_trade
from tests.orders.writer_harness import WriterHarness, build_ticket, to_decimal
from tests.support.decisions import record_decision_statements

EXITS: dict[str, Any] = {"take_profit": TakeProfit(Decimal(110)), "stop_loss": StopLoss(Decimal(90), None)}
GROWTH = ("Growth", "growth")
RESTING: dict[str, Any] = {"type": "LIMIT", "limit_price": "95", "time_in_force": "GTC"}


def publish_quote(harness, price):
    harness.advance_clock()
    return MatchQuote(
        harness.tenant,
        harness.build_quote("AAPL", price, price, price),
        format_timestamp(harness.now),
        is_new=True,
    )


def place_order(harness, **changes):
    ticket = build_ticket(**changes)
    return PlaceOrder(harness.build_origin(request_text=repr(ticket)), ticket, "Growth", "growth")


def place_pair(harness, kind, *tickets):
    return PlaceGroup(harness.build_origin(request_text=kind), GroupKind(kind), tickets, "Growth", "growth")


def close_position(harness):
    return ClosePosition(harness.build_origin(), "Growth", "growth", "AAPL", "", None, None)


@pytest.fixture
def bracket_entry(harness: WriterHarness):
    """Provide a resting bracket, and a position."""
    harness.run(publish_quote(harness, "100"))
    harness.place_order(quantity="50")
    placed = harness.place_order(**RESTING, **EXITS)
    assert placed.status is Status.ACCEPTED
    return placed


def list_commands(harness, entry):
    """Return commands that a desk sends every day, in turn."""
    changes = OrderChanges(*(None,) * len(OrderChanges._fields))._replace(quantity=Decimal(12))
    yield place_order(harness)
    yield place_order(harness, side="SELL", quantity="1", **RESTING | {"limit_price": "120"})
    yield place_order(harness, **RESTING, **EXITS)
    yield PreviewOrder(harness.build_origin(), build_ticket(), "Growth", "growth")
    sell = {"side": "SELL", "quantity": "2", "time_in_force": "GTC"}
    high, low = (
        build_ticket(type="LIMIT", limit_price="115", **sell),
        build_ticket(type="STOP", stop_price="80", **sell),
    )
    yield place_pair(harness, "OCO", high, low)
    yield place_pair(harness, "OTO", build_ticket(**RESTING), high)
    yield ReplaceOrder(harness.build_origin(), entry.id, changes)
    yield publish_quote(harness, "94")  # fills the entries, and releases their exits
    yield CancelOrder(harness.build_origin(), entry.id, None)  # was replaced: refused
    yield publish_quote(harness, "112")  # fills take-profits, which cancels the stops
    yield close_position(harness)
    yield ExpireOrders(harness.tenant, format_timestamp(harness.now))
    yield CancelAll(harness.build_origin(), "Growth", "growth", None, None, None, None)


def test_decisions_on_ordinary_commands_run_no_statement(harness, bracket_entry):
    with record_decision_statements() as statements:
        for command in list_commands(harness, bracket_entry):
            harness.run(command)
            assert statements == [], command


def test_decisions_after_a_restart_run_no_statement(harness, bracket_entry):
    harness.restart()
    with record_decision_statements() as statements:
        harness.run(publish_quote(harness, "94"), place_order(harness))
        assert statements == []


def set_limit_of_tenant(harness, code, most):
    set_limit_in_scope(harness, code, most, LimitScope.TENANT, "")


def set_limit_in_scope(harness, code, most, scope, name):
    limit = RiskLimit(scope, name.lower(), name, code, Decimal(most), set_at=format_timestamp(harness.now))
    with unit_of_work(harness.engine) as connection:
        set_limit(connection, harness.tenant, limit)
    harness.restart()


def find_execution(harness, order):
    """Return the id of the order's execution."""
    with harness.engine.connect() as connection:
        (execution,) = list_executions_of_orders(connection, harness.tenant, [order.id])
    return execution.execution_id


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_decisions_on_changed_executions_run_no_statement(harness, bracket_entry, side):
    """A sale reduced the position and its exits: they are restored."""
    harness.place_order(quantity="5", **EXITS)
    busted, corrected = (harness.place_order(quantity="53", side=side) for _ in range(2))
    harness.advance_clock()
    execution_keys = (
        (busted.id, find_execution(harness, busted)),
        (corrected.id, find_execution(harness, corrected)),
    )
    with record_decision_statements() as statements:
        bust = BustExecution(harness.build_origin("bust"), *execution_keys[0], "Clearly erroneous")
        (result,) = harness.run(bust)
        assert result.orders[0].order.filled_quantity == 0
        (repeated,) = harness.run(bust)
        assert repeated.replayed
        (result,) = harness.run(
            CorrectExecution(harness.build_origin(), *execution_keys[1], Decimal(52), None, "Wrong size")
        )
        assert result.orders[0].order.filled_quantity == 52
        assert statements == []


def test_decisions_that_reduce_exits_run_no_statement(harness, bracket_entry):
    for _ in range(3):
        harness.place_order(quantity="5", **EXITS)
    harness.restart()
    with record_decision_statements() as statements:
        assert harness.place_order(side="SELL", quantity="57").status is Status.FILLED
        assert statements == []
    with harness.engine.connect() as connection:
        working = list_open_orders_in_symbol(connection, bracket_entry.portfolio_key, "AAPL")
    stops = [order.leaves_quantity for order in working if order.role is Role.STOP_LOSS]
    assert (
        sum(stops) == 8 + bracket_entry.quantity
    )  # the position of 65 less 57, and the exits of the resting entry


def test_decisions_at_quotes_with_sizes_run_no_statement(harness, bracket_entry):
    with record_decision_statements() as statements:
        harness.publish_quote("99", "101", "100", bid_size="5", ask_size="5")
        partly = harness.place_order(quantity="8", type="LIMIT", limit_price="101")
        assert partly.filled_quantity == 5
        harness.publish_quote("99", "101", "100", bid_size="5", ask_size="2")
        harness.publish_quote("99", "101", "100", bid_size="5", ask_size="2")
        assert harness.get_order(partly).status is Status.FILLED
        assert statements == []


@pytest.mark.parametrize(
    "code", [LimitCode.MAX_GROSS_EXPOSURE, LimitCode.MAX_OPEN_ORDERS, LimitCode.MAX_DAILY_LOSS]
)
def test_decisions_under_firm_limits_run_no_statement(harness, bracket_entry, code):
    harness.place_order(portfolio="Other", **RESTING)
    set_limit_of_tenant(harness, code, 10**8)
    with record_decision_statements() as statements:
        assert harness.place_order().status is Status.FILLED
        assert statements == []


def test_decisions_that_count_executions_run_no_statement(harness, bracket_entry):
    set_limit_of_tenant(harness, LimitCode.REPEATED_EXECUTIONS, 10)
    with record_decision_statements() as statements:
        assert harness.place_order().status is Status.FILLED
        harness.run(publish_quote(harness, "94"))
        assert harness.get_order(bracket_entry).status is Status.FILLED
        assert statements == []


@pytest.mark.parametrize("is_granted", [True, False])
def test_decisions_on_approvals_run_no_statement(harness, bracket_entry, is_granted):
    with unit_of_work(harness.engine) as connection:
        connection.execute(text("UPDATE portfolios SET approval = :policy"), {"policy": '{"mode":"always"}'})
    harness.restart()
    single = harness.place_order(**RESTING)
    buy = {"quantity": "2", "time_in_force": "GTC"}
    low, high = (
        build_ticket(type="LIMIT", limit_price="90", **buy),
        build_ticket(type="STOP", stop_price="115", **buy),
    )
    first, _ = harness.place_pair("OCO", low, high)
    harness.restart()
    approver = harness.build_origin()._replace(actor="slack:T1:U9")
    with record_decision_statements() as statements:
        (review,) = harness.run(ReviewApprovals(approver, "approver", 10))
        assert [approval.request.order_id for approval in review.approvals][:1] == [single.id]
        for order in (single, first):
            harness.run(DecideApproval(approver, order.id, is_granted, "Because", None, "approver"))
            assert harness.get_order(order).status is (Status.ACCEPTED if is_granted else Status.DENIED)
        assert statements == []


def test_decisions_on_orders_of_a_person_run_no_statement(harness, bracket_entry):
    """They are compared with that person's recent orders."""
    person = harness.build_origin()._replace(actor="slack:T1:U1")
    ticket = build_ticket(quantity="3")
    placed = PlaceOrder(person._replace(request_hash="first"), ticket, *GROWTH)
    with record_decision_statements() as statements:
        (result,) = harness.run(placed)
        assert result.orders[0].order.status is Status.FILLED
        (preview,) = harness.run(PreviewOrder(person, ticket, *GROWTH))
        assert preview.denial.code == "REPEAT_ORDER"
        tickets = (build_ticket(**RESTING), build_ticket(side="SELL", type="LIMIT", limit_price="120"))
        harness.run(PlaceGroup(person, GroupKind.OTO, tickets, *GROWTH))
        harness.run(ClosePosition(person, *GROWTH, "AAPL", "", Decimal(1), None))
        assert statements == []


@pytest.mark.parametrize("code", [LimitCode.MAX_DAILY_LOSS, LimitCode.MAX_DRAWDOWN])
def test_decisions_under_loss_limits_run_no_statement(harness, bracket_entry, code):
    """The limit is reached, but a person has not stopped trading."""
    set_limit_in_scope(harness, code, 1, LimitScope.PORTFOLIO, "Growth")
    harness.run(publish_quote(harness, "97"))
    with record_decision_statements() as statements:
        assert harness.place_order(side="BUY", quantity="2").status is Status.DENIED
        assert statements == []


def test_decisions_on_overrides_run_no_statement(harness, bracket_entry):
    set_limit_of_tenant(harness, LimitCode.MAX_ORDER_QUANTITY, 20)
    denied = harness.place_order(quantity="30")
    requests = [
        RequestOverride(harness.build_origin(request_text=name), denied.id, "Client block", 30)
        for name in ("a", "b")
    ]
    with record_decision_statements() as statements:
        waiting, second = harness.run(*requests)
        assert waiting.orders[0].order.status is Status.AWAITING_APPROVAL
        assert isinstance(second, NotOverridable)
        assert statements == []


def test_decisions_on_a_cancellation_run_no_statement(harness, bracket_entry):
    nothing: dict[str, Any] = dict.fromkeys(StoredCancellation._fields)
    cancellation = StoredCancellation(
        **nothing | {"tenant_id": harness.tenant, "id": "C1", "created_at": format_timestamp(harness.now)}
    )
    command = CancelInPortfolio(harness.build_origin(), bracket_entry.portfolio_id, cancellation)
    with record_decision_statements() as statements:
        first, second = harness.run(command, command)
        assert (
            [order_result.order.id for order_result in first.orders]
            == [order_result.order.id for order_result in second.orders]
            != []
        )
        assert statements == []


def test_decisions_in_another_currency_run_no_statement(harness):
    harness.list_instrument(currency="EUR")
    harness.publish_quote("1.1", "1.1", "1.1", symbol="EUR/USD")
    with record_decision_statements() as statements:
        assert harness.place_order().status is Status.FILLED
        harness.restart()
        assert harness.place_order().status is Status.FILLED
        harness.publish_quote("1.2", "1.2", "1.2", symbol="EUR/USD")
        assert harness.place_order().status is Status.FILLED
        assert statements == []


def test_decisions_beside_a_position_without_a_quote_run_no_statement(harness):
    harness.run(build_record_trade(harness)._replace(symbol="NEW"))
    with record_decision_statements() as statements:
        assert harness.place_order().status is Status.FILLED
        harness.restart()
        assert harness.place_order().status is Status.FILLED
        harness.run(build_record_trade(harness)._replace(symbol="NEW"), place_order(harness))
        assert statements == []


def test_decisions_that_switch_a_portfolio_run_no_statement(harness, bracket_entry):
    """A reported trade that the switch then refuses names its scope."""
    set_limit_in_scope(harness, LimitCode.MAX_DAILY_LOSS, 1, LimitScope.PORTFOLIO, "Growth")
    harness.run(publish_quote(harness, "97"))
    check = CheckLosses(harness.tenant, format_timestamp(harness.now))
    with record_decision_statements() as statements:
        _, refused, denied = harness.run(check, build_record_trade(harness), place_order(harness))
        assert isinstance(refused, TradingHalted)
        assert "portfolio" in refused.detail
        assert denied.orders[0].order.status is Status.DENIED
        (refused,) = harness.run(build_record_trade(harness))
        assert isinstance(refused, TradingHalted)
        harness.run(check)
        assert statements == []
    assert len(harness.list_events("kill_switch.reducing")) == 1


def test_decisions_that_set_a_latch_run_no_statement(harness, bracket_entry):
    set_limit_of_tenant(harness, LimitCode.REPEATED_EXECUTIONS, 1)
    with record_decision_statements() as statements:
        filled, denied = harness.run(place_order(harness), place_order(harness, quantity="11"))
        assert filled.orders[0].order.status is Status.FILLED
        assert denied.orders[0].order.status is Status.DENIED
        assert statements == []
    [(latch_id,)] = harness.query("SELECT id FROM latches")
    assert latch_id in str(denied.orders[0].order.denial)


def test_batch_fails_if_another_process_sets_its_latch_meanwhile(harness, bracket_entry, monkeypatch):
    """The writer tries it again, and then finds the latch."""
    set_limit_of_tenant(harness, LimitCode.REPEATED_EXECUTIONS, 1)
    harness.run(place_order(harness))
    harness.restart()
    with monkeypatch.context() as patch:
        patch.setattr(
            "app.risk.service.controls.list_active_latches",
            lambda _, ids: {portfolio_id: {} for portfolio_id in ids},
        )
        with pytest.raises(IntegrityError):
            harness.run(place_order(harness, quantity="11"))
    harness.restart()
    assert harness.place_order(quantity="11").status is Status.DENIED


@pytest.mark.parametrize("is_reversal", [False, True])
def test_decisions_on_corporate_actions_run_no_statement(harness, bracket_entry, is_reversal):
    terms: dict[str, Any] = {"new_units": Decimal(2), "old_units": Decimal(1)}
    harness.advance_clock()
    at = format_timestamp(harness.now)
    action = CorporateActionTerms(harness.tenant, "CA1", ActionKind.SPLIT, "AAPL", at, at[:10], **terms)
    command = ApplyCorporateAction(harness.build_origin(), bracket_entry.portfolio_id, action, is_reversal)
    harness.advance_clock()
    with record_decision_statements() as statements:
        (outcome,) = harness.run(command)
        assert outcome.is_changed is not is_reversal
        assert statements == []
    quantity = 100 if is_reversal else 200
    assert harness.get_order(bracket_entry).quantity == quantity / 10
    assert to_decimal(harness.query("SELECT quantity FROM positions")[0][0]) == quantity / 2


def test_decisions_on_adopted_orders_run_no_statement(harness, bracket_entry):
    """An order that is known is not adopted again. One at the paper market cannot be adopted."""
    commands = [
        AdoptOrder(harness.build_origin(), order_id, build_ticket(), *GROWTH)
        for order_id in (bracket_entry.id, "O-unknown")
    ]
    with record_decision_statements() as statements:
        adopted, refused = harness.run(*commands)
        assert adopted.orders[0].order.id == bracket_entry.id
        assert isinstance(refused, NotAtBroker)
        assert statements == []
