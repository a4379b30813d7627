"""Every view and message of orders with its smallest and its largest content."""

from dataclasses import replace
from decimal import Decimal

import pytest

from app.blocks.orders.approvals import (
    build_approval_request,
    build_decided_message,
    build_decision_form,
    format_review,
)
from app.blocks.orders.form import build_loading_view, build_order_form, build_proposal, format_denial
from app.blocks.orders.messages import (
    MAX_LINES,
    ORDER_HELP,
    build_order_message,
    build_thread_message,
    format_changes,
    format_mention,
    list_buttons,
)
from app.blocks.orders.preview import build_preview, format_limits
from app.blocks.text import format_literal
from app.blocks.trade_buttons import build_reversal_form, build_trade_buttons
from app.blocks.trade_form import build_question_blocks
from app.forms.orders.approvals import DecisionContext
from app.forms.orders.context import OrderContext
from app.forms.orders.order import Approval, Check, Denial, PortfolioCash, Preview, build_order_draft
from app.forms.orders.questions import build_repeated_order_question
from app.forms.orders.submission import read_order_draft
from app.forms.orders.ticket import OrderDraft, OrderType
from app.forms.trade_buttons import MAX_TEXT_CHARACTERS, ReversalContext
from tests import factories
from tests.limits import check_blocks, check_message, check_view
from tests.order_factories import build_event, build_order, build_order_state

NAME = "<!channel> & *_~`" * 5 + "x" * 15
LARGEST_DRAFT = OrderDraft(
    symbol="A" * 40, side="SELL", quantity="1000000", value="100000000", limit_price="1000000",
    stop_price="0.00000001", trail="1000000.12345678", time_in_force="GTD", expires_at="1798761540",
    stop_loss="1000000", take_profit="1000000", portfolio=NAME, reason="r" * 500, read_as="?" * 3000,
)  # fmt: skip
DENIAL = Denial("MAX_ORDER_QUANTITY", "m" * 3000, "1" * 500, "2" * 500, Decimal("0.00000001"), None)
LARGEST_ORDER = build_order(
    id="O" * 32, portfolio=NAME, symbol="A" * 40, quantity=Decimal("123456.12345678"), reason="r" * 500,
    filled_quantity=Decimal("1.5"), average_price=Decimal("409.95"), denial=DENIAL,
    legs=tuple(
        build_order(id=f"L{n}", role="stop_loss", type="STOP", stop_price=Decimal(395)) for n in range(2)
    ),
)  # fmt: skip


@pytest.mark.parametrize("kind", list(OrderType))
@pytest.mark.parametrize("draft", [OrderDraft(), LARGEST_DRAFT])
@pytest.mark.parametrize("context", [OrderContext("C1"), OrderContext("C1", 9, True, (), "O" * 32, 99)])
def test_form_is_valid_for_slack(kind, draft, context):
    question = build_repeated_order_question(LARGEST_ORDER, "2026-11-29 10:00:00 UTC")
    proposal = build_proposal(DENIAL, draft)
    assert proposal
    view = build_order_form(
        replace(draft, type=kind.value),
        context,
        format_denial(DENIAL),
        [proposal, *build_question_blocks(question)],
    )
    check_view(view)
    check_view(build_order_form(replace(draft, type=kind.value), context))


def test_largest_form_state_fits_in_the_metadata():
    confirmed = tuple(f"price_ok:{'A' * 40}:1000000.1234567{n}" for n in range(16))
    context = OrderContext("C0123456789", 99, True, confirmed, "O" * 32, 99)
    metadata = build_order_form(LARGEST_DRAFT, context)["private_metadata"]
    assert len(metadata) < 3000
    assert OrderContext.load(metadata).hidden


def test_form_that_changes_an_order_keeps_its_fixed_terms():
    draft = build_order_draft(build_order())
    metadata = build_order_form(draft, OrderContext("C1", replaces="O1"))["private_metadata"]
    state = {
        name: build_order_state(limit_price="409")[name]
        for name in ("quantity", "limit_price", "time_in_force")
    }
    read = read_order_draft(state, OrderContext.load(metadata))
    assert read.symbol == "MSFT"
    assert read.side == "BUY"
    assert read.portfolio == "Growth"
    assert read.type == "LIMIT"
    assert read.limit_price == "409"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"v":1,"hidden":[1]}', '{"v":1,"hidden":{"x":1},"revision":-1}']
)
def test_damaged_form_state_is_parsed_as_empty(text):
    context = OrderContext.load(text)
    assert context.replaces == ""
    assert context.revision == 0
    assert context.hidden == ()


@pytest.mark.parametrize(
    "shown", [build_order(), LARGEST_ORDER, build_order(status="FILLED", filled_quantity=Decimal(50))]
)
@pytest.mark.parametrize("working", ["", "Canceling…"])
def test_order_message_is_valid_for_slack(shown, working):
    message = build_order_message(shown, working)
    check_message(message.text, list(message.blocks))
    assert "<!channel>" not in message.text
    assert not any(block["type"] == "actions" for block in message.blocks) or not working


@pytest.mark.parametrize(
    ("status", "filled", "labels"),
    [
        ("ACCEPTED", 0, ["Cancel", "Change"]),
        ("AWAITING_APPROVAL", 0, ["Cancel", "Change"]),
        ("PARTIALLY_FILLED", 20, ["Cancel", "Change", "Close position"]),
        ("PENDING_CANCEL", 0, []),
        ("PENDING_REPLACE", 0, ["Cancel"]),
        ("FILLED", 50, ["Close position", "Trade again"]),
        ("CANCELED", 0, ["Trade again"]),
        ("DENIED", 0, ["Trade again"]),
    ],
)
def test_buttons_are_those_that_the_state_allows(status, filled, labels):
    order = build_order(status=status, filled_quantity=Decimal(filled))
    assert [button["text"]["text"] for button in list_buttons(order)] == labels


def test_thread_names_changes_and_cuts_long_lists():
    events = (
        build_event(1, "", "INITIALIZED"),
        build_event(2, "INITIALIZED", "AWAITING_APPROVAL", "slack:T1:U1"),
        build_event(3, "AWAITING_APPROVAL", "SUBMITTED", "slack:T1:U2", "Fine"),
        build_event(4, "SUBMITTED", "ACCEPTED"),
        build_event(5, "ACCEPTED", "CANCELED", "ava@example.com", "<!here>"),
    )
    assert format_changes(build_order(events=events), 0) == [
        "Awaiting approval",
        "<@U1>, your order was approved by <@U2>: Fine",
        "Canceled by ava@example.com: &lt;!here&gt;",
    ]
    assert format_changes(build_order(events=events), 4) == ["Canceled by ava@example.com: &lt;!here&gt;"]
    message = build_thread_message(["Filled 1 at 2.00"] * 500)
    check_message(message.text, list(message.blocks))
    assert message.text.startswith(f"{500 - MAX_LINES} earlier changes are not shown.")


@pytest.mark.parametrize(
    ("last", "change_line", "outcome"),
    [
        ("EXPIRED", "<@U1>, your order expired", "Expired"),
        ("DENIED", "<@U1>, your order was rejected by <@U2>", "Rejected by <@U2>"),
        ("CANCELED", "Canceled by <@U2>", "Canceled by <@U2>"),
    ],
)
def test_end_of_a_wait_is_reported(last, change_line, outcome):
    order = build_order(status=last, events=(build_event(1, "AWAITING_APPROVAL", last, "slack:T1:U2"),))
    assert format_changes(order, 0) == [change_line]
    message = build_decided_message(order)
    check_message(message.text, list(message.blocks))
    assert message.text.split("*")[1] == outcome


def test_rejection_names_the_approver_once_and_as_a_mention():
    message = "slack:T1:U2 rejected it: Too *large*"
    rejected = build_order(
        status="DENIED",
        denial=Denial("APPROVAL_REJECTED", message, "", ""),
        events=(build_event(1, "AWAITING_APPROVAL", "DENIED", "slack:T1:U2", message),),
    )
    reason = format_literal("Too *large*")
    assert format_changes(rejected, 0) == [f"<@U1>, your order was rejected by <@U2>: {reason}"]
    assert f"*Rejected by <@U2>*: {reason}" in build_decided_message(rejected).text
    assert f"Status: *Denied* · <@U2> rejected it: {reason}" in build_order_message(rejected).text


def test_help_and_other_views_are_valid_for_slack():
    check_view(build_loading_view(ORDER_HELP))
    check_message(
        build_approval_request(LARGEST_ORDER).text, list(build_approval_request(LARGEST_ORDER).blocks)
    )
    trade = factories.build_trade(portfolio=NAME, symbol="A" * 40)
    check_blocks([build_trade_buttons(trade, "U0123456789")], 50)
    assert all(len(element["value"]) <= 2000 for element in build_trade_buttons(trade, "U1")["elements"])
    reversal = ReversalContext("T" * 32, "U1", trade.timestamp, "C1", "1.0", '"' * MAX_TEXT_CHARACTERS)
    check_view(build_reversal_form(reversal))
    assert ReversalContext.load(reversal.dump()) == reversal


@pytest.mark.parametrize("is_known", [True, False])
def test_review_and_decision_form_are_valid_blocks(is_known):
    names = ("price", "value", "charges", "cash_after", "position_after", "gross_exposure", "equity")
    estimate = dict.fromkeys(names, "-123456789.12345678") if is_known else {"position_after": "junk"}
    price = Decimal("123456789.12345678") if is_known else None
    approval = Approval(
        order=LARGEST_ORDER,
        rule="override",
        requested_by="slack:T1:U1",
        expires_at="2026-11-29T10:00:00Z",
        price_seen=price,
        price=price,
        then=estimate,
        now=estimate,
        denial=DENIAL if is_known else None,
        override_reason="r" * 500,
        waived="MAX_ORDER_VALUE" if is_known else "",
    )
    for is_approval in (True, False):
        context = DecisionContext("O" * 32, is_approval, "C1", "123456789.12345678")
        check_view(build_decision_form(context, format_review(approval), "r" * 500))
        assert DecisionContext.load(context.dump()) == context
    assert DecisionContext.load("junk") == DecisionContext("", is_approval=False)


@pytest.mark.parametrize(
    ("code", "largest", "passing", "limits"),
    [
        ("HALTED", 0, "", ""),
        ("REDUCING", 0, "", ""),
        (
            "REDUCING",
            80,
            " The largest allowed quantity is 80.",
            "Largest quantity within limits: 80 (reducing)",
        ),
    ],
)
def test_denial_by_a_kill_switch_names_the_command_that_shows_its_reason(code, largest, passing, limits):
    denial = Denial(code, "Trading is stopped.", code, "BUY", Decimal(largest))
    start = "*Denied, because trading is stopped*: Trading is stopped."
    assert format_denial(denial) == f"{start}{passing} `/desk risk` shows who stopped it, and why."
    assert format_limits([Check("kill_switches", False, Decimal(largest), code, code)]) == limits


@pytest.mark.parametrize(
    ("denial", "price", "expected_text"),
    [
        (None, None, "there is no price yet"),
        (None, Decimal(410), "Needs the approval of another person."),
        (DENIAL, Decimal(410), "Denied by max order quantity"),
    ],
)
def test_preview_shows_estimates_and_checks(denial, price, expected_text):
    checks = tuple(Check(f"check_{n}", True, Decimal(1000 - n), "", "") for n in range(30))
    preview = Preview(
        symbol="MSFT",
        quantity=Decimal(50),
        price=price,
        value=price,
        charges=price,
        cash_after=price,
        position_after=Decimal(-50),
        opens_at="2026-11-30T14:30:00Z",
        needs_approval=True,
        denial=denial,
        checks=checks,
    )
    text = build_preview(preview, PortfolioCash("Growth", Decimal(1), "USD", Decimal(2)))
    assert expected_text in text
    assert "It opens <!date^1796049000^{date_short_pretty} at {time}|2026-11-30 14:30:00 UTC>" in text
    assert (
        "Largest quantity within limits: 971 (check 29), 972 (check 28), 973 (check 27), 974 (check 26)"
        in text
    )
    check_view(build_order_form(OrderDraft(), OrderContext("C1"), lines=("x" * 2000, text)))


@pytest.mark.parametrize(
    ("actor", "shown"), [("slack:T1:U1", "<@U1>"), ("paper", "paper"), ("key:<x>", "key:&lt;x&gt;"), ("", "")]
)
def test_people_of_slack_are_mentioned(actor, shown):
    assert format_mention(actor) == shown
