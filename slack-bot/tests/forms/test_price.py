from decimal import Decimal

import pytest

from app.forms.context import FormContext
from app.forms.price import PRICE_PROMPT, Quote, build_price_line, find_price_warning
from app.forms.ticket import Draft


@pytest.mark.parametrize(
    ("price", "last", "is_doubtful"),
    [
        ("175", None, False), ("0.01", None, False), ("100000", None, False), ("0.00999999", None, True),
        ("100000.01", None, True), ("120", "100", False), ("80", "100", False), ("120.01", "100", True),
        ("79.99", "100", True),
    ],
)  # fmt: skip
def test_unusual_or_distant_price_needs_a_confirmation(price, last, is_doubtful):
    assert (find_price_warning(Decimal(price), Decimal(last) if last else None) is not None) is is_doubtful


def test_price_line_shows_the_price_per_share_once_it_is_known():
    assert build_price_line(Draft(quantity="1,000", gmv="17500")) == (
        "Price per share: 17.50 · GMV: 17,500.00 · Quantity 1,000 is read as 1000"
    )
    for price, gmv in (("", "17500"), ("17.5", ""), ("17.5", "17500")):
        draft = Draft(quantity="1000", price=price, gmv=gmv)
        assert build_price_line(draft) == "Price per share: 17.50 · GMV: 17,500.00"
    assert build_price_line(Draft(quantity="100", price="1.125")).endswith("Price 1.125 is read as 1.125")
    assert build_price_line(Draft(quantity="1000000", price="1000000")) == PRICE_PROMPT
    assert build_price_line(Draft(quantity="1,000")) == PRICE_PROMPT
    assert build_price_line(Draft(quantity="1e3", gmv="1")) == PRICE_PROMPT


@pytest.mark.parametrize(
    ("quote", "expected"),
    [
        (Quote(Decimal("174.95"), 2.9, "manual"), "Quote: 174.95, 2 s old"),
        (Quote(Decimal(1000), 343, "feed"), "Quote: 1,000.00, 5 min old"),
        (Quote(Decimal(1), 9000, "feed"), "Quote: 1.00, 2 h old"),
        (Quote(Decimal(1), 400_000, "feed"), "Quote: 1.00, 4 days old"),
        (Quote(Decimal("174.95"), -0.5, "simulated"), "Quote (simulated): 174.95, 0 s old"),
    ],
)
def test_price_line_shows_the_quote_and_its_age(quote, expected):
    assert build_price_line(Draft(), quote) == f"{PRICE_PROMPT} · {expected}"
    assert (
        build_price_line(Draft(quantity="1", gmv="2"), quote)
        == f"Price per share: 2.00 · GMV: 2.00 · {expected}"
    )


def test_form_remembers_its_channel_and_attempt():
    context = FormContext("C1").with_denial().with_denial()
    assert FormContext.load(context.dump()) == FormContext("C1", 2)
    open_still = FormContext("C1", 1).with_unknown_outcome()
    assert FormContext.load(open_still.dump()) == open_still == open_still.with_denial()
    assert len(FormContext("C" * 100, 10**6).dump()) < 3000
    confirmed = FormContext("C1").with_confirmed("a", "b").with_confirmed("a", "\U0001f600" * 120)
    assert FormContext.load(confirmed.dump()) == confirmed
    full = FormContext("C" * 20, 1, True).with_confirmed(*(f"{n}" + "é" * 112 for n in range(9)))
    assert len(full.dump()) < 3000


@pytest.mark.parametrize("text", ["", "{", "[]", '{"v":99,"channel":"C1"}'])
def test_form_of_another_version_still_works_without_its_channel(text):
    assert FormContext.load(text) == FormContext("")


def test_invalid_attempt_counts_as_the_first():
    assert FormContext.load('{"v":1,"channel":"C1","attempt":"x"}') == FormContext("C1", 0)
