"""Pictures of the forms and messages of trades, orders and approvals."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from app.blocks import trade_form, views
from app.blocks.messages import build_confirmation
from app.blocks.order_forms import build_cancel_form, describe_canceled
from app.blocks.orders import approvals, form, messages
from app.blocks.orders.preview import build_preview
from app.blocks.trade_buttons import build_reversal_form
from app.forms.context import FormContext
from app.forms.orders.approvals import DecisionContext
from app.forms.orders.context import OrderContext
from app.forms.orders.order import Approval, Check, PortfolioCash, Preview, build_order_draft
from app.forms.orders.questions import build_repeated_order_question
from app.forms.orders.ticket import OrderDraft, OrderType
from app.forms.price import Quote
from app.forms.questions import (
    build_portfolio_question,
    build_price_question,
    build_repeat_question,
    build_short_question,
    build_symbol_question,
)
from app.forms.request_context import RequestContext
from app.forms.ticket import Draft, Holding, Side
from app.forms.trade_buttons import ReversalContext
from tests import factories
from tests.gallery import values
from tests.gallery.picture import Picture, draw_message, draw_sentence, draw_view
from tests.order_factories import build_event, build_order

CONTEXT = FormContext("C0123456789")
LARGE_TRADE = factories.build_trade(
    portfolio=values.LONG_NAME,
    symbol=values.LONG_SYMBOL,
    quantity=Decimal("123456.12345678"),
    price=Decimal("1234567.12345678"),
    gmv=Decimal(values.LARGE),
    position_quantity=Decimal("-123456.12345678"),
    position_average_cost=Decimal("1234567.12345678"),
)
SHORT = factories.build_ticket(side=Side.SELL, quantity=Decimal(500))
TRADE_QUESTIONS = [
    build_price_question(
        factories.build_ticket(gmv=Decimal("0.1")), "It is 0.001 a share, and the quote is 175.00."
    ),
    build_symbol_question(values.LONG_SYMBOL, ["WWW", "WWX", "WWY"]),
    build_portfolio_question(values.LONG_NAME, ["Growth", "Growth 2", "Income"]),
    build_short_question(SHORT, Holding(Decimal(51), Decimal(170))),
    build_repeat_question(LARGE_TRADE, "2026-11-29 10:00:00 UTC"),
]
LARGE_DRAFT = OrderDraft(
    symbol=values.LONG_SYMBOL,
    side="SELL",
    quantity="1000000",
    value="100000000",
    limit_price="1000000",
    stop_price="0.00000001",
    trail="1000000.12345678",
    time_in_force="GTD",
    expires_at="1798761540",
    stop_loss="1000000",
    take_profit="1000000",
    portfolio=values.LONG_NAME,
    reason="r" * 500,
    read_as="1.000 was read as 1; 1,125 was read as 1125.",
)
SMALL_PREVIEW = Preview(
    symbol="MSFT",
    quantity=Decimal(50),
    price=None,
    value=None,
    charges=None,
    cash_after=None,
    position_after=Decimal(0),
    opens_at="",
    needs_approval=False,
    denial=None,
    checks=(),
)
APPROVED_PREVIEW = Preview(
    symbol="MSFT",
    quantity=Decimal(50),
    price=Decimal(410),
    value=Decimal(20500),
    charges=Decimal("1.25"),
    cash_after=Decimal("979498.75"),
    position_after=Decimal(150),
    opens_at="",
    needs_approval=True,
    denial=None,
    checks=(Check("buying_power", True, Decimal(2400), "BUYING_POWER", "1000000"),),
)
LARGE_PREVIEW = Preview(
    symbol=values.LONG_SYMBOL,
    quantity=Decimal("123456.12345678"),
    price=Decimal("1234567.12345678"),
    value=Decimal(values.LARGE),
    charges=Decimal(values.LARGE),
    cash_after=Decimal(values.NEGATIVE),
    position_after=Decimal(values.NEGATIVE),
    opens_at=values.INSTANT,
    needs_approval=True,
    denial=values.DENIAL,
    checks=tuple(
        Check(f"check_{number}", True, Decimal("1234567.12345678"), f"MAX_CONCENTRATION_{number}", "1")
        for number in range(9)
    ),
)
CASH = PortfolioCash("Growth", Decimal(982500), "USD", Decimal(982500))
ESTIMATE = {
    "price": "410",
    "value": "20500",
    "charges": "1.25",
    "cash_after": "979498.75",
    "position_after": "50",
}
LARGE_ESTIMATE = dict.fromkeys(approvals.AMOUNTS, values.NEGATIVE)


def list_pictures() -> Iterator[Picture]:
    """Yield the pictures, the smallest of each first."""
    yield from _list_trade_pictures()
    yield from _list_form_pictures()
    yield from _list_order_pictures()
    yield from _list_approval_pictures()


def _list_trade_pictures() -> Iterator[Picture]:
    build = trade_form.build_trade_form
    filled = Draft("AAPL", "100", "", "BUY", "Growth", price="175")
    largest = Draft(values.LONG_SYMBOL, "1000000", "100000000", "SELL", values.LONG_NAME, "n" * 500)
    yield from draw_view(
        "trade-form",
        build,
        build(Draft(), CONTEXT),
        build(filled, CONTEXT),
        build(largest, CONTEXT, "*Not placed.* " + values.LONG_REASON[:300]),
    )
    questions = [question for question in TRADE_QUESTIONS if question]
    ask = trade_form.build_question_form
    yield from draw_view(
        "trade-question", ask, ask(SHORT, CONTEXT, questions[:1]), ask(SHORT, CONTEXT, questions)
    )
    quote = Quote(Decimal(175), 2.5, "manual")
    symbol_lookup = trade_form.SymbolLookup(quote, ())
    yield from draw_view(
        "trade-lines",
        trade_form.update_lines,
        trade_form.update_lines(build(filled, CONTEXT), filled, symbol_lookup),
    )
    yield from draw_view("trade-placing", views.build_placing_view, views.build_placing_view(CONTEXT))
    yield from draw_view("trade-checking", views.build_checking_view, views.build_checking_view(CONTEXT))
    small, placed = factories.build_trade(), views.build_placed_view
    yield from draw_view(
        "trade-placed", placed, placed(small, "U0AVACHEN01", CONTEXT), placed(LARGE_TRADE, "U1", CONTEXT)
    )
    before = build_confirmation(LARGE_TRADE, "U0AVACHEN01").text
    yield from draw_view(
        "traded-before", views.build_traded_before_view, views.build_traded_before_view(before, CONTEXT)
    )
    for build_notice in (views.build_failed_view, views.build_refused_view):
        yield from draw_view(build_notice.__name__, build_notice, build_notice(values.LONG_REASON))
    for build_state in (views.build_working_view, views.build_done_view, views.build_busy_view):
        yield from draw_view(build_state.__name__, build_state, build_state())
    flat = factories.build_trade(position_quantity=Decimal(0), portfolio="G")
    yield from draw_message(
        "confirmation",
        build_confirmation,
        *(build_confirmation(trade, "U0AVACHEN01") for trade in (flat, LARGE_TRADE)),
    )
    reversal = ReversalContext("T1697234567123ABC", "U0AVACHEN01", values.INSTANT, "C1", "1.0", before[:1200])
    problem = "*Not done.* " + values.LONG_REASON[:300]
    yield from draw_view(
        "reversal-form",
        build_reversal_form,
        build_reversal_form(reversal),
        build_reversal_form(reversal, problem),
    )


def _list_form_pictures() -> Iterator[Picture]:
    build = form.build_order_form
    context = OrderContext("C0123456789")
    yield from draw_view("order-form", build, build(OrderDraft(), context))
    for kind in OrderType:
        draft = OrderDraft(type=kind.value, symbol="MSFT", side="BUY", quantity="50", portfolio="Growth")
        yield from draw_view(f"order-form-{kind.value.lower()}", build, build(draft, context))
    repeated = build_repeated_order_question(values.LARGE_ORDER, "2026-11-29 10:00:00 UTC")
    proposal = form.build_proposal(values.LARGE_DENIAL, LARGE_DRAFT)
    assert proposal
    blocks = [proposal, *trade_form.build_question_blocks(repeated)]
    preview = build_preview(LARGE_PREVIEW, CASH)
    lines = (f"{values.LONG_SYMBOL}: bid 1,234,567.12 · ask 1,234,568.12", preview)
    yield from draw_view(
        "order-form-largest",
        build,
        build(
            replace(LARGE_DRAFT, type=OrderType.STOP_LIMIT.value),
            context,
            form.format_denial(values.LARGE_DENIAL),
            blocks,
            lines,
        ),
    )
    ask = form.build_order_question_form
    yield from draw_view("order-question", ask, ask(LARGE_DRAFT, context, [repeated], lines))
    change = OrderContext("C1", replaces="O1")
    yield from draw_view("order-change", build, build(build_order_draft(build_order()), change))
    yield from draw_view(
        "order-loading", form.build_loading_view, form.build_loading_view(messages.ORDER_HELP)
    )
    yield from draw_view(
        "order-lines",
        form.update_order_lines,
        *(
            form.update_order_lines(
                build(LARGE_DRAFT, context), "MSFT: bid 409.90 · ask 410.10", build_preview(each, cash)
            )
            for each, cash in ((SMALL_PREVIEW, None), (APPROVED_PREVIEW, CASH))
        ),
    )
    yield from draw_sentence(
        "order-denial", form.format_denial, *map(form.format_denial, (values.DENIAL, values.LARGE_DENIAL))
    )


def _list_order_pictures() -> Iterator[Picture]:
    build = messages.build_order_message
    shown = [build_order(), values.FILLED_ORDER, values.LARGE_ORDER, values.DECIDED_ORDER]
    yield from draw_message("order", build, *map(build, shown), build(build_order(), "Canceling…"))
    changes = [
        build_event(1, "INITIALIZED", "AWAITING_APPROVAL", values.LONG_ACTOR),
        build_event(2, "AWAITING_APPROVAL", "SUBMITTED", "slack:T1:U0BENOKAF02", values.LONG_REASON[:500]),
        build_event(3, "ACCEPTED", "CANCELED", "ava@example.com"),
    ]
    lines = messages.format_changes(build_order(events=tuple(changes), actor=values.LONG_ACTOR), 0)
    build_thread = messages.build_thread_message
    yield from draw_message(
        "order-thread", build_thread, build_thread(lines), build_thread(["Filled 1 at 2.00"] * 500)
    )
    orders, large = values.ORDERS, values.LARGE_ORDERS
    context = RequestContext("C1", "cancel")
    yield from draw_view(
        "cancel-form",
        build_cancel_form,
        build_cancel_form(orders[:1], context, is_cut=False, is_chosen=False),
        build_cancel_form(large, context, is_cut=True, is_chosen=True),
    )
    yield from draw_sentence("canceled", describe_canceled, *map(describe_canceled, ([], orders, large)))


def _list_approval_pictures() -> Iterator[Picture]:
    for build in (approvals.build_approval_request, approvals.build_decided_message):
        name = build.__name__.removeprefix("build_").replace("_", "-")
        yield from draw_message(
            name,
            build,
            *map(build, (build_order(actor=values.LONG_ACTOR), values.LARGE_ORDER, values.DECIDED_ORDER)),
        )
    unchanged = Approval(
        order=build_order(),
        rule="always",
        requested_by=values.LONG_ACTOR,
        expires_at=values.INSTANT,
        price_seen=Decimal(410),
        price=Decimal(410),
        then=ESTIMATE,
        now=ESTIMATE,
        denial=None,
    )
    changed = Approval(
        order=values.LARGE_ORDER,
        rule="override",
        requested_by=values.LONG_ACTOR,
        expires_at=values.INSTANT,
        price_seen=Decimal(values.LARGE),
        price=Decimal(410),
        then=LARGE_ESTIMATE,
        now=ESTIMATE,
        denial=values.LARGE_DENIAL,
        override_reason="r" * 500,
        waived="MAX_ORDER_VALUE",
    )
    build_form = approvals.build_decision_form
    yield from draw_view(
        "decision-form",
        build_form,
        build_form(DecisionContext("O1", is_approval=True), approvals.format_review(unchanged)),
        build_form(DecisionContext("O1", is_approval=False), approvals.format_review(changed), "r" * 500),
    )
