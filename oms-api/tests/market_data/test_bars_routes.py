"""Bars over REST: from given quotes or from the simulation, the newest first."""

from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from app.clock import utc_now


def list_starts(response):
    assert response.status_code == 200, response.text
    return [datetime.fromisoformat(item["start"]) for item in response.json()]


def test_bars_are_built_from_given_quotes(api):
    for last in ("100", "103", "98", "101"):
        api.put("/quotes/AAPL", {"last": last})
    body = api.get("/bars/AAPL", interval="1d").json()
    whole = {key: value for bar in reversed(body) for key, value in bar.items() if key != "start"}
    if len(body) == 1:  # unless midnight passed meanwhile
        assert whole == {
            "open": "100.00",
            "high": "103.00",
            "low": "98.00",
            "close": "101.00",
            "volume": None,
        }


def test_simulated_bars_are_newest_first_without_gaps(api):
    starts = list_starts(api.get("/bars/MSFT", limit=10))
    assert len(starts) == 10
    assert {later - earlier for later, earlier in pairwise(starts)} == {timedelta(minutes=1)}
    assert utc_now() - starts[0] < timedelta(minutes=2)


@pytest.mark.parametrize(("interval", "minutes"), [("5m", 5), ("15m", 15), ("1h", 60), ("1d", 1440)])
def test_each_interval_has_its_length(api, interval, minutes):
    later, earlier = list_starts(api.get("/bars/MSFT", interval=interval, limit=2))
    assert later - earlier == timedelta(minutes=minutes)


def test_from_and_to_limit_the_bar_start_times(api):
    period = {"from_": "2026-11-20T12:00:00Z", "to": "2026-11-20T12:05:00Z"}
    starts = list_starts(api.get("/bars/MSFT", **period))
    if utc_now() > datetime.fromisoformat("2026-11-20T12:05:00Z"):
        assert [start.minute for start in starts] == [4, 3, 2, 1, 0]


def test_pages_are_contiguous(api):
    bounds = {"from_": "2026-01-05T12:00:00Z", "to": "2026-01-05T12:07:00Z"}
    first = api.get("/bars/MSFT", limit=3, **bounds)
    minutes = [start.minute for start in list_starts(first)]
    path = first.links["next"]["url"].removeprefix("/api/v1")
    while path:
        page = api.get(path)
        minutes += [start.minute for start in list_starts(page)]
        path = page.links.get("next", {}).get("url", "").removeprefix("/api/v1")
    assert minutes == [6, 5, 4, 3, 2, 1, 0]


def test_cursor_is_valid_only_for_its_symbol_and_interval(api):
    path = api.get("/bars/MSFT", limit=1).links["next"]["url"].removeprefix("/api/v1")
    assert api.get(path.replace("MSFT", "AAPL")).status_code == 422


@pytest.mark.parametrize("asked", [{"interval": "2m"}, {"limit": 0}, {"from_": "yesterday"}, {"sort": "asc"}])
def test_invalid_query_is_rejected(api, asked):
    assert api.get("/bars/MSFT", **asked).status_code == 422


def test_earliest_instant_causes_no_server_error(api):
    assert list_starts(api.get("/bars/MSFT", from_="0001-01-01T00:00:00Z", to="1970-01-01T00:02:00Z")) == [
        datetime.fromisoformat("1970-01-01T00:01:00Z"),
        datetime.fromisoformat("1970-01-01T00:00:00Z"),
    ]
    assert list_starts(api.get("/bars/MSFT", to="0001-01-01T00:00:00Z")) == []
