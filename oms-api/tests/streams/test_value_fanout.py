"""Subscriptions to portfolio values, with readers that record what they are asked for."""

import asyncio

import pytest

from app.errors import Conflict
from app.streams.rules.messages import ChannelKind
from app.streams.service.value_fanout import MAX_PORTFOLIOS, PortfolioText, ValueFanout

EXISTING_KEYS = {"alpha", "zeta"}


class RecordingReaders:
    """Readers that find portfolios named by EXISTING_KEYS, and fail for some tenants."""

    def __init__(self, errors=None):
        self.errors = errors or {}
        self.valued_keys = {}

    async def read(self, tenant_id, query, keys):
        if query.__name__ == "load_portfolios_by_name":
            return dict.fromkeys(EXISTING_KEYS & set(keys))
        if tenant_id in self.errors:
            raise self.errors[tenant_id]
        self.valued_keys[tenant_id] = set(keys)
        return {key: PortfolioText(key, "{}") for key in EXISTING_KEYS & set(keys)}


class RecordingOutbox:
    """The names of the portfolios that a connection received."""

    def __init__(self):
        self.names = []

    def put_items(self, kind, items):
        assert kind is ChannelKind.PNL
        self.names += items


def create_fanout(readers):
    return ValueFanout(readers, None, None)  # type: ignore[arg-type]  # the readers value nothing


def test_a_refused_message_subscribes_to_none_of_its_portfolios():
    readers, outbox = RecordingReaders(), RecordingOutbox()
    fanout = create_fanout(readers)

    async def subscribe():
        missing = await fanout.add(1, outbox, ["", "alpha", "typo"], None)
        await fanout.flush()
        return missing

    assert asyncio.run(subscribe()) == ["typo"]
    assert (readers.valued_keys, outbox.names) == ({}, [])


def test_a_limited_caller_that_wants_all_portfolios_gets_its_own():
    readers, outbox = RecordingReaders(), RecordingOutbox()
    fanout = create_fanout(readers)

    async def subscribe():
        await fanout.add(1, outbox, [""], frozenset({"zeta"}))
        await fanout.flush()

    asyncio.run(subscribe())
    assert (readers.valued_keys, outbox.names) == ({1: {"zeta"}}, ["zeta"])


def test_a_limited_caller_that_wants_all_gets_a_limited_number():
    readers = RecordingReaders()
    fanout = create_fanout(readers)
    names = frozenset(f"p{number}" for number in range(MAX_PORTFOLIOS + 1))

    async def subscribe():
        await fanout.add(1, RecordingOutbox(), [""], names)
        await fanout.flush()

    asyncio.run(subscribe())
    assert len(readers.valued_keys[1]) == MAX_PORTFOLIOS


@pytest.mark.parametrize("error", [Conflict("busy"), ArithmeticError()])
def test_a_tenant_whose_values_fail_does_not_stop_the_others(error):
    outboxes = {tenant_id: RecordingOutbox() for tenant_id in (1, 2, 3)}
    fanout = create_fanout(RecordingReaders({1: error, 2: error}))

    async def subscribe():
        for tenant_id, outbox in outboxes.items():
            await fanout.add(tenant_id, outbox, ["alpha"], None)
        await fanout.flush()

    asyncio.run(subscribe())
    assert [outbox.names for outbox in outboxes.values()] == [[], [], ["alpha"]]
