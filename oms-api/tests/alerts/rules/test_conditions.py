"""When alerts fire, and when they are armed again."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.alerts.rules.conditions import (
    Alert,
    AlertKind,
    Direction,
    apply_transition,
    compute_rearm_threshold,
    find_transition,
)
from app.alerts.rules.event_payloads import build_firing_payload
from app.alerts.rules.price_thresholds import AlertKey, PriceThresholds
from app.instruments.rules import InstrumentKey
from app.timestamps import format_timestamp
from tests.factories import NOON

SECOND = timedelta(seconds=1)
AAPL = InstrumentKey(1, "AAPL")
PRICES = st.lists(st.integers(9_900, 10_100).map(lambda cents: Decimal(cents) / 100), max_size=40)

THRESHOLDS = st.lists(st.tuples(st.sampled_from(["above", "below"]), st.integers(9_950, 10_050)), max_size=8)


def build_alert(direction="above", threshold="100", kind="price", *, repeat=True, alert_id="A1", **state):
    alert = Alert(
        tenant_id=1, id=alert_id, owner="key:x", kind=AlertKind(kind),
        symbol="AAPL" if kind == "price" else None, portfolio_id=None if kind == "price" else 7,
        direction=Direction(direction), threshold=Decimal(threshold), is_repeating=repeat, deliver_to="me",
        is_active=True, is_armed=True, firing=0, value=None, fired_at=None, changed_at=None,
        created_at=NOON, updated_at=NOON,
    )  # fmt: skip
    return alert._replace(**state)


def list_firings(alert, values):
    """Return the values at which the alert fires."""
    fired = []
    for index, value in enumerate(map(Decimal, values)):
        transition = find_transition(alert, value, NOON + index * SECOND) if alert.is_active else None
        if transition is not None:
            fired += [str(value)] if transition.is_firing else []
            alert = apply_transition(transition)
    return fired


@pytest.mark.parametrize(
    ("direction", "values", "fired"),
    [
        ("above", ["99.99999999", "100"], ["100"]),
        ("below", ["100.00000001", "100"], ["100"]),
        ("above", ["90", "110"], ["110"]),
        ("below", ["110", "90"], ["90"]),
        ("above", ["101"], ["101"]),
        ("above", ["100", "99.91", "100", "99.95", "101"], ["100"]),
        ("above", ["100", "99.9", "100"], ["100", "100"]),
        ("below", ["100", "100.1", "99"], ["100", "99"]),
        ("below", ["100", "100.09", "99"], ["100"]),
    ],
)
def test_repeating_alert_fires_once_per_crossing(direction, values, fired):
    assert list_firings(build_alert(direction), values) == fired


def test_alert_that_does_not_repeat_fires_once_for_all():
    assert list_firings(build_alert(repeat=False), ["100", "50", "100"]) == ["100"]


@pytest.mark.parametrize(
    ("kind", "direction", "threshold", "rearm_threshold"),
    [
        ("price", "above", "200", "199.8"),
        ("price", "below", "200", "200.2"),
        ("drawdown", "above", "5", "4.95"),
        ("limit_use", "below", "50", "50.5"),
        ("day_pnl", "below", "-1000", "-990"),
        ("day_pnl", "above", "0", "-1"),
    ],
)
def test_alert_is_armed_again_off_its_threshold(kind, direction, threshold, rearm_threshold):
    assert compute_rearm_threshold(build_alert(direction, threshold, kind)) == Decimal(rearm_threshold)


@given(
    PRICES, st.lists(st.tuples(st.sampled_from(["above", "below"]), st.integers(9_950, 10_050)), max_size=8)
)
def test_group_of_alerts_fires_like_separate_alerts(prices, thresholds):
    alerts = [
        build_alert(direction, str(Decimal(cents) / 100), repeat=index % 3 > 0, alert_id=f"A{index}")
        for index, (direction, cents) in enumerate(thresholds)
    ]
    thresholds = PriceThresholds()
    for alert in alerts:
        thresholds.set_alert(alert)
    fired: dict[str, list[str]] = {alert.id: [] for alert in alerts}
    for index, price in enumerate(prices):
        for transition in thresholds.apply_price(AAPL, price, NOON + index * SECOND):
            fired[transition.alert.id] += [str(price)] if transition.is_firing else []
    assert fired == {alert.id: list_firings(alert, prices) for alert in alerts}


def test_removed_and_inactive_alerts_have_no_threshold():
    thresholds = PriceThresholds()
    thresholds.set_alert(build_alert())
    thresholds.set_alert(build_alert("below", "50", alert_id="A2"))
    thresholds.set_alert(build_alert("below", "50", alert_id="A2", is_active=False))
    thresholds.remove(AlertKey(1, "A1"))
    thresholds.remove(AlertKey(1, "unknown"))
    assert (len(thresholds), list(thresholds.symbols)) == (0, [])
    assert thresholds.apply_price(AAPL, Decimal(100), NOON) == []


def test_thresholds_ignore_prices_from_before_the_last_transition():
    thresholds = PriceThresholds()
    thresholds.set_alert(build_alert(changed_at=NOON + SECOND))
    assert thresholds.apply_price(AAPL, Decimal(101), NOON) == []
    assert len(thresholds.apply_price(AAPL, Decimal(101), NOON + SECOND)) == 1


def test_alerts_of_portfolios_have_no_price_threshold():
    thresholds = PriceThresholds()
    thresholds.set_alert(build_alert(kind="drawdown"))
    assert len(thresholds) == 0


def test_payload_of_a_firing_has_the_threshold_and_the_value():
    alert = build_alert("below", firing=2, value=Decimal("99.5"), fired_at=NOON)
    payload = build_firing_payload(alert, None)
    assert (payload["above"], payload["below"], payload["value"]) == (None, "100.00", "99.50")
    assert (payload["firing"], payload["at"], payload["symbol"]) == (2, format_timestamp(NOON), "AAPL")
