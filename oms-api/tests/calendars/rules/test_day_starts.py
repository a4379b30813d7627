"""The beginning of a date in the market of an exchange, in UTC."""

from datetime import UTC, date, datetime

import pytest

from app.calendars.rules.market_lookup import compute_day_start


@pytest.mark.parametrize(
    ("exchange", "asset_class", "expected"),
    [
        ("NASDAQ", "equity", datetime(2026, 11, 23, 5, tzinfo=UTC)),
        ("NSE", "equity", datetime(2026, 11, 22, 18, 30, tzinfo=UTC)),
        ("", "crypto", datetime(2026, 11, 23, tzinfo=UTC)),
        ("", "equity", datetime(2026, 11, 23, tzinfo=UTC)),
    ],
)
def test_date_begins_at_midnight_in_its_market(exchange, asset_class, expected):
    assert compute_day_start(date(2026, 11, 23), exchange, asset_class) == expected
