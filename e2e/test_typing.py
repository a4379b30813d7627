"""Type in the form with real key events, while the bot redraws the lines below the fields."""

import secrets

import pytest
from playwright.sync_api import expect

pytestmark = [pytest.mark.e2e, pytest.mark.any_database]


@pytest.mark.parametrize("delay", [40, 80, 120, 180, 250])
def test_nothing_that_is_typed_is_lost_while_the_form_is_redrawn(slack, deployment, delay):
    portfolio = f"North Portfolio {secrets.token_hex(2)}"
    keyboard = slack.page.keyboard
    slack.type("/trade")
    expect(slack.form.get_by_role("textbox", name="Symbol", exact=True)).to_be_focused()
    for text in ("AAPL", "100", "175"):
        keyboard.type(text, delay=delay)
        keyboard.press("Tab")
    keyboard.press("Tab")  # skip the GMV: the price is sufficient
    keyboard.press("Space")  # choose the side Buy
    keyboard.press("Tab")
    keyboard.type(portfolio, delay=delay)
    expect(slack.form.get_by_role("combobox", name="Portfolio")).to_have_value(portfolio)
    expect(slack.form).to_contain_text("Price per share: 175.00 · GMV: 17,500.00")
    expect(slack.form.get_by_role("combobox", name="Portfolio")).to_have_value(portfolio)
    expect(slack.form.get_by_role("option", name=portfolio)).to_be_visible()
    keyboard.press("Enter")
    slack.place_and_confirm()
    slack.wait_for_no_form()
    (trade,) = deployment.trades(portfolio=portfolio)
    assert trade["symbol"] == "AAPL"
    assert trade["quantity"] == "100"
    assert trade["gmv"] == "17500.00"


def test_note_is_typed_over_a_redraw_in_any_field(slack):
    slack.type("/trade AAPL")
    slack.fill_entry("Quantity", "100")
    slack.fill_entry("GMV (optional)", "17500")
    note = slack.form.get_by_role("textbox", name="Note (optional)")
    note.press_sequentially("the client called twice about this one", delay=60)
    expect(slack.form).to_contain_text("Price per share: 175.00")
    expect(note).to_have_value("the client called twice about this one")
    expect(note).to_be_focused()


def test_typing_starts_in_the_first_empty_field(slack):
    slack.type("/trade buy 10 AAPL")
    expect(slack.form.get_by_role("textbox", name="Price (optional)", exact=True)).to_be_focused()
