"""Instants as text have six decimals and a final Z."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.timestamps import format_timestamp, parse_timestamp

INSTANTS = st.datetimes(timezones=st.just(UTC))


@given(INSTANTS)
def test_timestamp_is_rfc_3339_with_six_decimals(instant):
    assert format_timestamp(instant) == instant.isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert parse_timestamp(format_timestamp(instant)) == instant


@given(INSTANTS, INSTANTS)
def test_timestamps_sort_like_their_instants(first, second):
    assert (format_timestamp(first) < format_timestamp(second)) == (first < second)


@pytest.mark.parametrize("microseconds", [0, 1, 100_000, 999_999])
def test_instant_without_a_zone_is_in_utc(microseconds):
    naive = datetime(2026, 11, 20, 15, 4, 5, microseconds)  # noqa: DTZ001  # what is tested
    assert format_timestamp(naive) == f"2026-11-20T15:04:05.{microseconds:06d}Z"
