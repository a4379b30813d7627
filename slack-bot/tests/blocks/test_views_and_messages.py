"""The trade form, the portfolio options, and the views and messages of a trade, from empty to largest."""

import json
from decimal import Decimal

import pytest

from app.blocks import views
from app.blocks.messages import (
    HELP,
    USAGE,
    add_reference,
    build_confirmation,
    build_confirmation_lines,
    build_notice,
    format_time,
)
from app.blocks.options import build_portfolio_options
from app.blocks.text import MAX_SECTION_CHARACTERS, build_section, escape, truncate
from app.blocks.trade_form import (
    build_question_blocks,
    build_question_form,
    build_trade_form,
    get_shown_lines,
    update_lines,
)
from app.forms.context import FormContext
from app.forms.questions import build_portfolio_question, build_price_question, build_symbol_question
from app.forms.ticket import Draft
from tests import factories
from tests.limits import check_element, check_message, check_options, check_view
from tests.views import get_reasons, list_question_ids

CONTEXT = FormContext("C0123456789", 3)
OFF_MARKET_TICKET = factories.build_ticket(gmv=Decimal("0.1"))
PRICE_QUESTION = build_price_question(OFF_MARKET_TICKET, "Odd.")
SYMBOL_QUESTION = build_symbol_question("AAPL", [])
LARGEST_DRAFT = Draft("A" * 20, "1000000", "100000000", "SELL", "<!channel> & " + "x" * 87, "n" * 500)
MARKUP_TRADE = factories.build_trade(
    portfolio="<!channel> & *_~`" * 5 + "x" * 15, symbol="A&B", quantity=Decimal("123456.12345678")
)


def label_portfolios(*names):
    return {name: f"{name} · 1,000.00 USD" for name in names}


PORTFOLIO_LABELS = label_portfolios(*(f"Portfolio {number}" for number in range(101)))


def list_options(response):
    return response["options"] if "options" in response else response["option_groups"][0]["options"]


@pytest.mark.parametrize("draft", [Draft(), Draft("AAPL"), LARGEST_DRAFT])
@pytest.mark.parametrize("banner", ["", "b" * 5000])
def test_form_is_valid_for_slack(draft, banner):
    check_view(build_trade_form(draft, CONTEXT, banner))
    check_view(build_trade_form(draft, CONTEXT, banner, build_question_blocks(PRICE_QUESTION)))
    check_view(
        build_trade_form(
            draft, CONTEXT, banner, build_question_blocks(build_portfolio_question("p" * 100, ["q" * 100]))
        )
    )


def test_fields_of_the_form_are_never_renamed():
    ids = [block.get("block_id") for block in build_trade_form(Draft(), CONTEXT)["blocks"]]
    assert ids == [
        "symbol",
        "symbol_line",
        "quantity",
        "price",
        "gmv",
        "price_line",
        "side",
        "portfolio",
        "note",
    ]


@pytest.mark.parametrize("block", [2, 3, 4])
def test_amounts_are_number_inputs_that_take_decimals_with_limits_as_strings(block):
    element = build_trade_form(Draft(quantity="0.5", price="2", gmv="1"), CONTEXT)["blocks"][block]["element"]
    assert element["type"] == "number_input"
    assert element["is_decimal_allowed"] is True
    assert all(isinstance(element[name], str) for name in ("min_value", "max_value", "initial_value"))


def test_question_keeps_the_entries_and_has_a_reason():
    ticket = factories.build_ticket(gmv=Decimal("0.1"), portfolio="<!channel>")
    questions = [build_price_question(ticket, "0.001 < 0.01"), build_portfolio_question(ticket.portfolio, [])]
    view = build_question_form(ticket, CONTEXT, questions)
    check_view(view)
    assert "0.001 &lt; 0.01" in get_reasons(view)
    assert "no portfolio named &lt;!channel&gt;" in get_reasons(view)
    assert list_question_ids(view) == [question.id for question in questions]
    assert all(
        block["optional"] for block in view["blocks"] if block["block_id"] in list_question_ids(view)
    ), "another entry may be made instead"


@pytest.mark.parametrize(
    ("symbol", "gmv", "stays"),
    [
        ("AAPL", "0.1", True), (" $aapl", "0.10", True), ("AAPL", "100", False), ("AAPL", "", False),
        ("MSFT", "0.1", False), ("!", "0.1", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("other_questions", [[], [SYMBOL_QUESTION]])
def test_question_about_a_price_is_removed_when_the_price_changes(symbol, gmv, stays, other_questions):
    opened = factories.build_view(
        build_question_form(OFF_MARKET_TICKET, CONTEXT, [PRICE_QUESTION, *other_questions])["blocks"]
    )
    updated = update_lines(opened, Draft(symbol, "100", gmv))
    check_view(updated)
    assert list_question_ids(updated) == [
        each.id for each in ([PRICE_QUESTION] if stays else []) + other_questions
    ]
    assert ("Odd." in get_reasons(updated)) is stays
    has_banner = any(block["block_id"] == "banner" for block in updated["blocks"])
    assert has_banner is bool(list_question_ids(updated))


def test_updated_price_line_keeps_a_banner_without_a_question():
    opened = factories.build_view(build_trade_form(Draft("AAPL"), CONTEXT, "Not placed.")["blocks"])
    assert update_lines(opened, Draft("AAPL", "10", "200"))["blocks"][0]["block_id"] == "banner"


def test_update_of_the_price_line_changes_nothing_else():
    opened = factories.build_view(build_trade_form(Draft("AAPL", "10", "100"), CONTEXT)["blocks"])
    updated = update_lines(opened, Draft("AAPL", "10", "200"))
    check_view(updated)
    changed = [new for old, new in zip(opened["blocks"], updated["blocks"], strict=True) if old != new]
    assert [block["block_id"] for block in changed] == ["price_line"]
    assert get_shown_lines(updated)["price_line"] == "Price per share: 20.00 · GMV: 200.00"
    assert "hash" not in updated
    assert "state" not in updated


@pytest.mark.parametrize(
    "trade", [factories.build_trade(), MARKUP_TRADE, factories.build_trade(position_quantity=Decimal(0))]
)
def test_views_of_a_submitted_trade_are_valid_for_slack(trade):
    check_view(views.build_placing_view(CONTEXT))
    check_view(views.build_checking_view(CONTEXT))
    check_view(views.build_placed_view(trade, "U1", CONTEXT))
    check_view(views.build_traded_before_view("\n".join(build_confirmation_lines(trade, "U1")), CONTEXT))


@pytest.mark.parametrize("trade", [factories.build_trade(), MARKUP_TRADE])
def test_confirmation_has_four_lines_and_a_complete_text(trade):
    message = build_confirmation(trade, "U1")
    check_message(message.text, list(message.blocks))
    assert len(message.text.splitlines()) == 4
    for expected in (
        trade.trade_id,
        "BUY",
        "175.00",
        "17,500.00",
        "<@U1>",
        "2026-11-21 10:00:00 UTC",
        "171.50",
    ):
        assert expected in message.text


def test_name_contains_no_mention():
    text = build_confirmation(MARKUP_TRADE, "U1").text
    assert "<!channel>" not in text
    assert "&lt;!channel&gt; &amp; " in text
    assert escape("<a> & b") == "&lt;a&gt; &amp; b"


def test_flat_position_is_described_in_words():
    assert (
        "flat in AAPL" in build_confirmation(factories.build_trade(position_quantity=Decimal(0)), "U1").text
    )


def test_help_usage_and_notices_are_valid_for_slack():
    for text in (HELP, USAGE, add_reference("Not placed.", "req-1")):
        message = build_notice(text)
        check_message(message.text, list(message.blocks))


def test_no_message_depends_on_an_emoji():
    everything = json.dumps(
        [HELP, views.build_placing_view(CONTEXT), build_confirmation(factories.build_trade(), "U1").text]
    )
    assert ":white_check_mark:" not in everything
    assert "\\u2705" not in everything


def test_truncation_is_shown():
    assert truncate("abcdef", 4) == "abc…"
    assert len(build_section("x" * 9000)["text"]["text"]) == MAX_SECTION_CHARACTERS
    assert build_section("x" * 9000)["text"]["text"].endswith("…")


def test_unreadable_time_is_shown_unchanged():
    assert format_time("soon <") == "soon &lt;"


@pytest.mark.parametrize("count", [0, 1, 50, 99, 100, 5000])
@pytest.mark.parametrize("typed", ["", "Fresh"])
def test_any_number_of_portfolios_fits(count, typed):
    portfolio_options = build_portfolio_options(
        label_portfolios(*(f"Portfolio {number} " + "y" * 80 for number in range(count))), typed
    )
    options = list_options(portfolio_options)
    if options:
        check_options(options, 100)
    assert ("option_groups" in portfolio_options) is (count + bool(typed) > 100), (
        "the label states how many are shown"
    )
    assert any(option["value"] == "Fresh" for option in options) is (typed == "Fresh")


def test_new_portfolio_is_marked_and_its_value_is_the_bare_name():
    options = build_portfolio_options(label_portfolios("Growth"), " Gr ")["options"]
    assert [(option["text"]["text"], option["value"]) for option in options] == [
        ("Growth · 1,000.00 USD", "Growth"), ("New portfolio: Gr", "Gr"),
    ]  # fmt: skip


@pytest.mark.parametrize("typed", ["growth", "Gro\u200dwth", "", " \u200c", "a/b", "x" * 101])
def test_existing_or_invalid_names_are_not_offered_as_new_portfolios(typed):
    assert [
        option["value"] for option in build_portfolio_options(label_portfolios("Growth"), typed)["options"]
    ] == ["Growth"]


def test_name_too_long_for_an_option_is_left_out_and_a_long_one_keeps_its_value():
    long, too_long = "l" * 100, "t" * 151
    options = build_portfolio_options(label_portfolios(long, too_long), "")["options"]
    assert [option["value"] for option in options] == [long]
    assert options[0]["text"]["text"].endswith("…")


def test_label_of_a_truncated_list_shows_the_number_of_choices():
    group = build_portfolio_options(PORTFOLIO_LABELS, "Portfolio")["option_groups"][0]
    assert group["label"]["text"] == "Showing 99 portfolios. Type to find others."
    assert len(group["options"]) == 100


def test_existing_name_beyond_the_truncation_is_offered_first_and_not_as_new():
    options = list_options(build_portfolio_options(PORTFOLIO_LABELS, "portfolio", "Portfolio"))
    assert options[0]["value"] == options[0]["text"]["text"] == "Portfolio"
    assert all(not option["text"]["text"].startswith("New portfolio") for option in options)


def test_portfolio_marked_as_new_stays_marked_when_the_form_is_shown_again():
    view = build_trade_form(factories.build_ticket(portfolio="Fresh", is_new_portfolio=True).draft(), CONTEXT)
    chosen = view["blocks"][7]["element"]["initial_option"]
    assert chosen["text"]["text"] == "New portfolio: Fresh"
    assert chosen["value"] == "Fresh"


def test_initial_portfolio_is_its_own_option():
    element = build_trade_form(LARGEST_DRAFT, CONTEXT)["blocks"][7]["element"]
    check_element(element)
    assert element["initial_option"]["value"] == LARGEST_DRAFT.portfolio


@pytest.mark.parametrize(
    ("draft", "focused"),
    [
        (Draft(), ["symbol"]),
        (Draft("AAPL"), ["quantity"]),
        (Draft("AAPL", "10", "", "BUY"), ["price"]),
        (Draft("AAPL", "10", price="175"), ["side"]),
        (Draft("AAPL", "10", "1750"), ["side"]),
        (Draft("AAPL", "10", "1750", "BUY"), ["portfolio"]),
        (Draft("AAPL", "10", "1750", "BUY", "Growth"), []),
    ],
)
def test_typing_starts_in_the_first_empty_field(draft, focused):
    blocks = build_trade_form(draft, CONTEXT)["blocks"]
    assert [b["block_id"] for b in blocks if b.get("element", {}).get("focus_on_load")] == focused
