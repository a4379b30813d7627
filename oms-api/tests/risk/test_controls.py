"""What a process remembers of limits and switches: never for longer than it may, and each tenant's own."""

from decimal import Decimal

import pytest

from app.clock import iso
from app.database import unit_of_work
from app.risk.errors import TooManyMessages
from app.risk.queries.switches import SwitchChange
from app.risk.rules.limits import LimitCode, LimitScope, SetLimit, Subject
from app.risk.rules.switches import SwitchScope
from app.risk.rules.values import TradingState
from app.risk.service.controls import MOST_AGE_SECONDS, Controls
from app.risk.service.limiting import drop_limit, set_limit
from app.risk.service.messages import MessageRate
from app.risk.service.switching import turn
from tests.factories import NOON

SUBJECT = Subject("growth", "AAPL")


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def halt(tenant_id, engine, state=TradingState.HALTED):
    with unit_of_work(engine) as connection:
        change = SwitchChange(SwitchScope.TENANT, "", "", state, None, "risk", iso(NOON))
        turn(connection, tenant_id, change)


def limit(value, until=None):
    place = (LimitScope.TENANT, "", "", LimitCode.MAX_ORDER_QUANTITY)
    return SetLimit(*place, Decimal(value), until, "risk", iso(NOON))


def put(engine, row, tenant_id=1):
    with unit_of_work(engine) as connection:
        set_limit(connection, tenant_id, row)


def known(controls, engine, tenant_id=1, now=NOON):
    with engine.connect() as connection:
        controls.refresh(connection, [tenant_id], now)
    quantity = controls.limits(tenant_id, SUBJECT).max_order_quantity
    return quantity, controls.state(tenant_id, "growth")[0]


def test_a_change_is_known_after_the_age_that_is_allowed(engine):
    clock = Clock()
    controls = Controls(clock)
    assert known(controls, engine) == (1_000_000, TradingState.ACTIVE)
    put(engine, limit("50"))
    halt(1, engine)
    clock.now += MOST_AGE_SECONDS * 0.9
    assert known(controls, engine) == (1_000_000, TradingState.ACTIVE)
    clock.now += MOST_AGE_SECONDS * 0.2
    assert known(controls, engine) == (50, TradingState.HALTED)


def test_what_this_process_changed_is_known_at_once(engine):
    controls = Controls(Clock())
    assert known(controls, engine)[0] == 1_000_000
    put(engine, limit("50"))
    controls.forget(1)
    assert known(controls, engine)[0] == 50


def test_a_batch_under_way_goes_on_with_what_it_has_read(engine):
    controls = Controls(Clock())
    assert known(controls, engine)[0] == 1_000_000
    controls.forget(1)  # by the event loop, while the writer's thread judges
    assert controls.limits(1, Subject("growth", "AAPL")).max_order_quantity == 1_000_000


def test_a_limit_that_has_ended_gives_way(engine):
    clock = Clock()
    controls = Controls(clock)
    put(engine, limit("50"))
    put(engine, limit("99", until="2026-11-20T12:00:01.000000Z"))
    assert known(controls, engine)[0] == 99
    clock.now += 1
    assert known(controls, engine, now=NOON.replace(second=1))[0] == 50
    with unit_of_work(engine) as connection:
        drop_limit(connection, 1, limit("0"))
    clock.now += 1
    assert known(controls, engine)[0] == 1_000_000


def test_tenants_are_kept_apart(engine):
    controls = Controls(Clock())
    put(engine, limit("50"), tenant_id=2)
    halt(2, engine)
    assert known(controls, engine) == (1_000_000, TradingState.ACTIVE)
    assert known(controls, engine, 2) == (50, TradingState.HALTED)
    assert controls.state(3, "growth") == (TradingState.ACTIVE, SwitchScope.TENANT)


def test_what_is_remembered_is_bounded(engine, monkeypatch):
    monkeypatch.setattr("app.risk.service.controls._MOST_TENANTS", 2)
    monkeypatch.setattr("app.risk.service.controls._MOST_SUBJECTS", 1)
    controls = Controls(Clock())
    for tenant_id in (1, 2, 3):
        assert known(controls, engine, tenant_id)[0] == 1_000_000
    assert controls.limits(3, SUBJECT._replace(symbol="MSFT")).max_order_quantity == 1_000_000
    with pytest.raises(KeyError):
        controls.limits(1, SUBJECT)


def test_messages_come_at_a_rate_with_a_minutes_worth_at_once():
    clock = Clock()
    rate = MessageRate(clock)
    for _ in range(6):
        rate.take("U1", Decimal(6))
    with pytest.raises(TooManyMessages) as refused:
        rate.take("U1", Decimal(6))
    assert (refused.value.status, refused.value.retry_after_seconds) == (429, 10)
    rate.take("U2", Decimal(6))
    clock.now += 10
    rate.take("U1", Decimal(6))
    with pytest.raises(TooManyMessages):
        rate.take("U1", Decimal(6))


def test_no_limit_counts_nothing_and_zero_lets_nothing_pass():
    rate = MessageRate(Clock())
    rate.take("U1", None, messages=10_000)
    with pytest.raises(TooManyMessages):
        rate.take("U1", Decimal(0))


def test_the_buckets_are_bounded(monkeypatch):
    monkeypatch.setattr("app.risk.service.messages._MOST_BUCKETS", 2)
    rate = MessageRate(Clock())
    for sender in ("U1", "U2", "U3", "U1"):
        rate.take(sender, Decimal(1))
