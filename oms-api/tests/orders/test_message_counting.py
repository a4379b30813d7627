"""A message is counted once, even if its batch is written again."""

from decimal import Decimal

import pytest

from app.orders.rules.values import GroupKind
from app.orders.service.commands import PlaceGroup, PlaceOrder
from app.orders.service.risk_checks.risk_evaluation import limits_of as rig_limits
from app.risk.service.messages import MessageRate
from tests.orders.rig import ticket


@pytest.fixture
def takes(rig, monkeypatch):
    """Provide the list of the message counts that are taken from the message rate."""
    taken: list[int] = []
    take = MessageRate.take

    def note(rate, sender, per_minute, messages=1):
        take(rate, sender, per_minute, messages)
        taken.append(messages)

    monkeypatch.setattr(MessageRate, "take", note)
    return taken


def order(rig, key):
    asked = ticket(type="LIMIT", limit_price="90")
    return PlaceOrder(rig.origin(key, key), asked, "Growth", "growth")


def pair(rig):
    exits = (ticket(type="LIMIT", limit_price="90"), ticket(type="LIMIT", limit_price="89"))
    return PlaceGroup(rig.origin("pair", "pair"), GroupKind.OCO, exits, "Growth", "growth")


def lose(rig, retained, *commands):
    """Do the commands in a transaction that is rolled back, as where a statement after them fails."""
    with rig.engine.connect().execution_options(writes=True) as connection, connection.begin() as transaction:
        rig.handler.handle(connection, commands, retained)
        transaction.rollback()


def test_retried_batch_takes_no_rate_limit_tokens_again(rig, takes):
    rig.open_portfolio()
    commands = [order(rig, "one"), pair(rig), order(rig, "two")]
    retained: dict[int, int] = {}
    lose(rig, retained, *commands)
    lose(rig, retained, *commands)
    lose(rig, retained, commands[0])
    outcomes = [*rig.run(commands[0], retained=retained), *rig.run(*commands[1:], retained=retained)]
    assert [len(done.orders) for done in outcomes] == [1, 2, 1]
    assert sum(takes) == 4


def test_rate_limited_message_is_counted_when_it_passes(rig, takes, monkeypatch):
    rig.open_portfolio()
    refusing = [order(rig, "one")]
    retained: dict[int, int] = {}
    with monkeypatch.context() as limited:
        limited.setattr(
            "app.orders.service.risk_checks.risk_evaluation.limits_of",
            lambda context, order: rig_limits(context, order)._replace(messages_per_minute=Decimal(0)),
        )
        (refused,) = rig.run(*refusing, retained=retained)
        assert refused.kind == "rate-limited"
    (placed,) = rig.run(*refusing, retained=retained)
    assert len(placed.orders) == 1
    assert sum(takes) == 1
