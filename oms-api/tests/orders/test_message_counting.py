"""The count of messages for the message rate. A batch that is written again counts once."""

from decimal import Decimal

import pytest

from app.orders.rules.values import GroupKind
from app.orders.service.commands import PlaceGroup, PlaceOrder
from app.orders.service.risk_checks.risk_evaluation import find_limits as rig_limits
from app.risk.service.messages import MessageRate
from tests.orders.writer_harness import build_ticket


@pytest.fixture
def counted_messages(harness, monkeypatch):
    """Provide the list of the message counts that are taken from the message rate."""
    taken_counts: list[int] = []
    take = MessageRate.take

    def note(rate, sender, per_minute, messages=1):
        take(rate, sender, per_minute, messages)
        taken_counts.append(messages)

    monkeypatch.setattr(MessageRate, "take", note)
    return taken_counts


def build_place_order(harness, key):
    ticket = build_ticket(type="LIMIT", limit_price="90")
    return PlaceOrder(harness.build_origin(key, key), ticket, "Growth", "growth")


def build_place_pair(harness):
    exits = (build_ticket(type="LIMIT", limit_price="90"), build_ticket(type="LIMIT", limit_price="89"))
    return PlaceGroup(harness.build_origin("pair", "pair"), GroupKind.OCO, exits, "Growth", "growth")


def run_and_roll_back(harness, retained, *commands):
    """Do the commands in a transaction that is rolled back, as where a statement after them fails."""
    with (
        harness.engine.connect().execution_options(writes=True) as connection,
        connection.begin() as transaction,
    ):
        harness.handler.handle(connection, commands, retained)
        transaction.rollback()


def test_retried_batch_takes_no_rate_limit_tokens_again(harness, counted_messages):
    harness.open_portfolio()
    commands = [
        build_place_order(harness, "one"),
        build_place_pair(harness),
        build_place_order(harness, "two"),
    ]
    retained: dict[int, int] = {}
    run_and_roll_back(harness, retained, *commands)
    run_and_roll_back(harness, retained, *commands)
    run_and_roll_back(harness, retained, commands[0])
    outcomes = [*harness.run(commands[0], retained=retained), *harness.run(*commands[1:], retained=retained)]
    assert [len(outcome.orders) for outcome in outcomes] == [1, 2, 1]
    assert sum(counted_messages) == 4


def test_rate_limited_message_is_counted_when_it_passes(harness, counted_messages, monkeypatch):
    harness.open_portfolio()
    refusing = [build_place_order(harness, "one")]
    retained: dict[int, int] = {}
    with monkeypatch.context() as limited:
        limited.setattr(
            "app.orders.service.risk_checks.risk_evaluation.find_limits",
            lambda context, order: rig_limits(context, order)._replace(messages_per_minute=Decimal(0)),
        )
        (refused,) = harness.run(*refusing, retained=retained)
        assert refused.kind == "rate-limited"
    (placed,) = harness.run(*refusing, retained=retained)
    assert len(placed.orders) == 1
    assert sum(counted_messages) == 1


def test_order_above_the_message_rate_is_not_created(market):
    limit = {"scope": "tenant", "name": None, "code": "MESSAGES_PER_MINUTE", "value": "3", "until": None}
    assert market.put("/limits", limit).status_code == 200
    statuses = [market.post_order().status_code for _ in range(5)]
    assert statuses == [201, 201, 201, 429, 429]
    assert len(market.get("/orders").json()) == 3
