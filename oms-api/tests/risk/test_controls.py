"""Cached limits and switches: they expire in time and are separate for each tenant."""

from decimal import Decimal

import pytest

from app.database import execute_writes, unit_of_work
from app.risk.queries.latches import build_latch_insert
from app.risk.rules.latches import Latch, LatchScope, LatchSubject
from app.risk.rules.limits import LimitCode, LimitScope, LimitSubject, RiskLimit
from app.risk.service.controls import MAX_AGE_SECONDS, Controls
from app.risk.service.limit_store import remove_limit, set_limit
from app.timestamps import format_timestamp
from tests.factories import NOON

SUBJECT = LimitSubject("growth", "AAPL")
HOLDER = LatchSubject(LatchScope.STRATEGY, "momentum", "AAPL")


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def set_switch(tenant_id, engine):
    with unit_of_work(engine) as connection:
        latch = Latch("L1", HOLDER, 5, 5, format_timestamp(NOON))
        execute_writes(connection, build_latch_insert(tenant_id, latch))


def build_limit(value, until=None):
    place = (LimitScope.TENANT, "", "", LimitCode.MAX_ORDER_QUANTITY)
    return RiskLimit(*place, Decimal(value), until, "risk", format_timestamp(NOON))


def store_row(engine, row, tenant_id=1):
    with unit_of_work(engine) as connection:
        set_limit(connection, tenant_id, row)


def list_known_switches(controls, engine, tenant_id=1, now=NOON):
    with engine.connect() as connection:
        controls.refresh(connection, [tenant_id], now)
    quantity = controls.get_limits(tenant_id, SUBJECT).max_order_quantity
    return quantity, controls.find_latch(tenant_id, HOLDER) is not None


def test_external_change_is_seen_after_the_cache_expires(engine):
    clock = Clock()
    controls = Controls(clock)
    assert list_known_switches(controls, engine) == (1_000_000, False)
    store_row(engine, build_limit("50"))
    set_switch(1, engine)
    clock.now += MAX_AGE_SECONDS * 0.9
    assert list_known_switches(controls, engine) == (1_000_000, False)
    clock.now += MAX_AGE_SECONDS * 0.2
    assert list_known_switches(controls, engine) == (50, True)


def test_own_change_is_seen_immediately(engine):
    controls = Controls(Clock())
    assert list_known_switches(controls, engine)[0] == 1_000_000
    store_row(engine, build_limit("50"))
    controls.invalidate(1)
    assert list_known_switches(controls, engine)[0] == 50


def test_running_batch_keeps_the_limits_it_has_read(engine):
    controls = Controls(Clock())
    assert list_known_switches(controls, engine)[0] == 1_000_000
    controls.invalidate(1)  # by the event loop, while the writer's thread judges
    assert controls.get_limits(1, LimitSubject("growth", "AAPL")).max_order_quantity == 1_000_000


def test_expired_limit_no_longer_applies(engine):
    clock = Clock()
    controls = Controls(clock)
    store_row(engine, build_limit("50"))
    store_row(engine, build_limit("99", until="2026-11-20T12:00:01.000000Z"))
    assert list_known_switches(controls, engine)[0] == 99
    clock.now += 1
    assert list_known_switches(controls, engine, now=NOON.replace(second=1))[0] == 50
    with unit_of_work(engine) as connection:
        remove_limit(connection, 1, build_limit("0"))
    clock.now += 1
    assert list_known_switches(controls, engine)[0] == 1_000_000


def test_cached_limits_are_separate_for_each_tenant(engine):
    controls = Controls(Clock())
    store_row(engine, build_limit("50"), tenant_id=2)
    set_switch(2, engine)
    assert list_known_switches(controls, engine) == (1_000_000, False)
    assert list_known_switches(controls, engine, 2) == (50, True)


def test_cache_size_is_bounded(engine, monkeypatch):
    monkeypatch.setattr("app.risk.service.controls._MAX_TENANTS", 2)
    monkeypatch.setattr("app.risk.service.controls._MAX_SUBJECTS", 1)
    clock = Clock()
    controls = Controls(clock)
    for tenant_id in (1, 2, 3):
        assert list_known_switches(controls, engine, tenant_id)[0] == 1_000_000
        clock.now += 60
    assert controls.get_limits(3, SUBJECT._replace(symbol="MSFT")).max_order_quantity == 1_000_000
    with pytest.raises(KeyError):
        controls.get_limits(1, SUBJECT)


def test_full_cache_keeps_the_tenants_of_the_batch(engine, monkeypatch):
    monkeypatch.setattr("app.risk.service.controls._MAX_TENANTS", 1)
    controls = Controls(Clock())
    list_known_switches(controls, engine)
    with engine.connect() as connection:
        controls.refresh(connection, [1, 2], NOON)  # 1 is fresh, 2 is new and does not fit
        controls.refresh(connection, [3], NOON)  # of the same batch: of an order, after those of trades
        controls.invalidate(1)
        controls.refresh(connection, [4], NOON)
    for tenant_id in (1, 2, 3, 4):
        assert controls.get_limits(tenant_id, SUBJECT).max_order_quantity == 1_000_000
