"""Interest and borrow fees are booked once a day, whatever happens to the processes."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import current_thread

import pytest

from app.calendars.rules.values import MarketIdentifier
from app.calendars.service import Calendars
from app.database import connect_engine
from app.ledger.service.batch import LedgerBatch
from app.performance.rules.closes import get_pnl_date
from app.verify import verify_database
from tests.support.jobs import EndlessLease, book_carry, run_carry_service, take_snapshots

CLOSE = datetime(2036, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MARGIN = {"kind": "margin", "from": "2026-01-01", "percent": "10"}
BORROW = {"kind": "borrow", "from": "2026-01-01", "percent": "5", "currency": "USD"}
KINDS = {"interest", "borrow"}


def create_portfolio(api, *rates, **settings):
    body = {"name": "Growth", "opening_cash": "1000", "carry_rates": list(rates)}
    created = api.post("/portfolios", body | settings)
    assert created.status_code == 201, created.text


def list_carry_movements(api, name="Growth"):
    rows = api.get(f"/portfolios/{name}/cash", limit=100).json()["rows"]
    return [(row["kind"], row["amount"]) for row in reversed(rows) if row["kind"] in KINDS]


def test_interest_on_a_debit_is_booked_once_a_day(service, api):
    create_portfolio(api, MARGIN)
    api.buy("100", "375")  # cash -36,500
    book_carry(service, CLOSE)
    assert list_carry_movements(api) == []
    book_carry(service, CLOSE + DAY)
    assert list_carry_movements(api) == [("interest", "-10.00")]
    book_carry(service, CLOSE + DAY)
    book_carry(service, CLOSE + DAY + timedelta(hours=5))
    assert len(list_carry_movements(api)) == 1


def test_nothing_accrues_before_the_portfolio_was_opened(service, api):
    create_portfolio(api, MARGIN | {"kind": "interest"}, calendar="XNYS")
    [opening] = api.get("/portfolios/Growth/cash").json()["rows"]
    opened = datetime.fromisoformat(opening["created_at"])
    book_carry(service, opened)  # the last close was before
    close = Calendars.load().get_calendar(MarketIdentifier.XNYS).get_session_or_next(opened).close
    with run_carry_service(service, close) as carry_service:
        carry_service.book(EndlessLease())
    days = (get_pnl_date(close) - get_pnl_date(opened)).days
    expected_amounts = [round(Decimal(1000) * 10 * days / 36_500, 8)] if days else []
    assert [Decimal(amount) for _, amount in list_carry_movements(api)] == expected_amounts


def test_borrow_fee_is_on_the_market_value_of_shorts_at_the_earlier_close(service, api):
    create_portfolio(api, BORROW)
    api.sell("100", "70", symbol="MSFT")
    api.buy("100", "70", symbol="AAPL")
    api.set_quote("MSFT", None, None, "73")
    book_carry(service, CLOSE)
    book_carry(service, CLOSE + DAY)
    assert list_carry_movements(api) == [("borrow", "-1.00")]
    row = api.get("/portfolios/Growth/cash").json()["rows"][0]
    assert row["reason"] == "Borrow fee on short positions of 7300.00000000 USD for 1 day to 2036-01-01"
    assert (row["source"], row["actor"]) == ("interest and borrow", None)


def test_carry_is_part_of_the_pnl_and_no_charge(service, api):
    create_portfolio(api, BORROW)
    api.sell("100", "70", symbol="MSFT")
    api.set_quote("MSFT", None, None, "73")
    for day in range(2):
        book_carry(service, CLOSE + day * DAY)
    body = api.get_portfolio()
    assert (body["total_pnl"], body["charges"]) == ("-301.00", "0.00")
    take_snapshots(service, CLOSE + 2 * DAY)
    assert api.get_portfolio()["day_pnl"] == "0.00"


def test_two_processes_book_a_day_once(service, api, monkeypatch):
    create_portfolio(api, MARGIN)
    api.buy("100", "375")
    book_carry(service, CLOSE)
    with run_carry_service(service, CLOSE + DAY) as slow, run_carry_service(service, CLOSE + DAY) as fast:
        book_period = slow._book_period

        def book_late(*period):
            fast.book(EndlessLease())
            return book_period(*period)

        monkeypatch.setattr(slow, "_book_period", book_late)
        slow.book(EndlessLease())
    assert len(list_carry_movements(api)) == 1


def test_process_that_is_killed_before_its_commit_leaves_nothing(service, api, monkeypatch):
    create_portfolio(api, MARGIN)
    api.buy("100", "375")
    book_carry(service, CLOSE)
    flush, this_thread = LedgerBatch.flush, current_thread()

    def fail_after_flush(books, *arguments):
        flush(books, *arguments)
        if current_thread() is this_thread:  # the writer of the service goes on
            raise KeyboardInterrupt

    monkeypatch.setattr(LedgerBatch, "flush", fail_after_flush)
    with pytest.raises(KeyboardInterrupt):
        book_carry(service, CLOSE + DAY)
    monkeypatch.undo()
    assert list_carry_movements(api) == []
    book_carry(service, CLOSE + DAY)
    assert len(list_carry_movements(api)) == 1


def test_missed_days_are_booked_one_by_one(service, api):
    create_portfolio(api, MARGIN)
    api.buy("100", "375")
    book_carry(service, CLOSE)
    book_carry(service, CLOSE + 3 * DAY)
    amounts = [Decimal(amount) for _, amount in list_carry_movements(api)]
    assert amounts == [Decimal(-10)] * 3  # the bookings of the same moment do not compound


def test_portfolio_without_rates_and_removed_rates_book_nothing(service, api):
    create_portfolio(api, MARGIN)
    api.buy("100", "375")
    book_carry(service, CLOSE)
    removed = api.patch("/portfolios/Growth", {"carry_rates": None})
    assert (removed.status_code, removed.json()["carry_rates"]) == (200, None)
    book_carry(service, CLOSE + DAY)
    assert api.patch("/portfolios/Growth", {"carry_rates": [MARGIN]}).status_code == 200
    book_carry(service, CLOSE + 2 * DAY)  # starts again: the days without rates are free
    assert list_carry_movements(api) == []
    book_carry(service, CLOSE + 3 * DAY)
    assert len(list_carry_movements(api)) == 1


@pytest.mark.parametrize(
    ("rate", "field"),
    [
        ({"kind": "margin", "from": "2026-01-01", "percent": "1001"}, "carry_rates.0.percent"),
        ({"kind": "margin", "from": "2026-13-01", "percent": "1"}, "carry_rates.0.from"),
        ({"kind": "loan", "from": "2026-01-01", "percent": "1"}, "carry_rates.0.kind"),
        (
            {"kind": "borrow", "from": "2026-01-01", "percent": "1", "currency": "XXZ"},
            "carry_rates.0.currency",
        ),
        (
            {"kind": "margin", "from": "2026-01-01", "percent": "1", "currency": "USD"},
            "carry_rates.0.currency",
        ),
    ],
)
def test_invalid_rate_is_rejected_with_its_field(api, rate, field):
    response = api.post("/portfolios", {"name": "Growth", "carry_rates": [rate]})
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_books_with_interest_are_verified(serve, database_url):
    with serve() as service:
        api = service.create_client()
        create_portfolio(api, MARGIN, BORROW)
        api.buy("100", "375")
        api.sell("10", "70", symbol="MSFT")
        for day in range(3):
            book_carry(service, CLOSE + day * DAY)
        assert len(list_carry_movements(api)) == 4
    engine = connect_engine(database_url)
    assert verify_database(engine).is_clean
    engine.dispose()
