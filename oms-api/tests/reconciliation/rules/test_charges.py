"""The reported charges that are not booked yet."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from app.brokers.rules.values import Charged
from app.orders.rules.execution_ids import BUST, get_bust_id, get_charge_key
from app.orders.rules.rows import ExecutionRow
from app.reconciliation.rules.charges import select_unbooked_charges
from app.timestamps import format_timestamp

AT = datetime(2026, 11, 20, tzinfo=UTC)
CHARGED = Charged("O1", "X1", Decimal("1.25"), "USD", AT)
BOOKED = ExecutionRow(
    1, "ibkr", "X1", "O1", 1, "AAPL", "BUY", "10.00000000", "90.00000000", "900.00000000", "T1", None,
    format_timestamp(AT),
)  # fmt: skip
BUSTED = BOOKED._replace(execution_id=get_bust_id("X1"), note=BUST, quantity="-10.00000000")


@pytest.mark.parametrize(
    ("booked", "keys", "currency", "is_missing"),
    [
        ([BOOKED], set(), "USD", True),
        ([], set(), "USD", False),  # the execution is not booked
        ([BOOKED, BUSTED], set(), "USD", False),
        ([BOOKED], {get_charge_key("ibkr", "X1")}, "USD", False),  # booked before
        ([BOOKED._replace(charges='{"commission":"1.25"}')], set(), "USD", False),  # as estimated
        ([BOOKED._replace(charges='{"commission":"1.25"}')], set(), "EUR", True),
        ([BOOKED._replace(charges='{"commission":"1.00","exchange":"0.20"}')], set(), "USD", True),
    ],
)
def test_charge_is_missing(booked, keys, currency, is_missing):
    assert select_unbooked_charges([CHARGED], booked, keys, currency) == ([CHARGED] if is_missing else [])
