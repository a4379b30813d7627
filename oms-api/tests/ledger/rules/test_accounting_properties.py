"""Properties of average-cost netting for all trades."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from app.ledger.rules.accounting import FLAT, Fill, Position, Side, apply_fill, replay_fills
from app.money import is_storable

UNIT = Decimal("0.00000001")

quantities = st.integers(1, 10**14).map(lambda units: units * UNIT)
values = st.integers(1, 10**16).map(lambda units: units * UNIT)
round_quantities = st.integers(1, 20).map(Decimal)  # small and whole, so that closes are often exact
sizes, worths = st.one_of(quantities, round_quantities), st.one_of(values, round_quantities)
fills = st.tuples(st.sampled_from(Side), sizes, worths).map(lambda parts: Fill(*parts))
histories = st.lists(fills, max_size=30)


def mirror_fill(fill: Fill) -> Fill:
    return Fill(Side.SELL if fill.side is Side.BUY else Side.BUY, fill.quantity, fill.value)


@given(histories)
def test_quantity_equals_bought_minus_sold(history):
    assert replay_fills(history).quantity == sum(
        (fill.side.sign * fill.quantity for fill in history), Decimal(0)
    )


@given(histories)
def test_money_is_conserved_at_every_step(history):
    """The paid amount equals the cost of the position plus the realized part, exactly."""
    position, paid = FLAT, Decimal(0)
    for fill in history:
        position = apply_fill(position, fill)
        paid += fill.side.sign * fill.value
        assert position.cost - position.realized_pnl == paid


@given(histories)
def test_buys_and_sells_are_symmetric(history):
    position, mirror = replay_fills(history), replay_fills(map(mirror_fill, history))
    assert mirror == Position(-position.quantity, -position.cost, -position.realized_pnl)


@given(histories)
def test_cost_is_zero_when_flat_and_otherwise_has_the_sign_of_the_quantity(history):
    position = FLAT
    for fill in history:
        position = apply_fill(position, fill)
        assert position.cost * position.quantity >= 0
        if not position.quantity:
            assert position.cost == 0


@given(histories)
def test_every_amount_can_be_stored_exactly(history):
    position = FLAT
    for fill in history:
        position = apply_fill(position, fill)
        assert is_storable(position.quantity)
        assert is_storable(position.cost)
        assert is_storable(position.realized_pnl)


@given(histories, histories)
def test_history_replayed_in_parts_gives_the_same_position(first, second):
    assert replay_fills(second, replay_fills(first)) == replay_fills([*first, *second])


@given(histories, fills)
def test_opening_cost_equals_the_fill_value(history, fill):
    opened = apply_fill(FLAT, fill)
    assert opened == Position(fill.side.sign * fill.quantity, fill.side.sign * fill.value, Decimal(0))


@given(fills, st.integers(1, 99))
def test_partial_close_releases_proportional_cost_within_half_a_unit(opening, percent):
    closed = max(UNIT, (opening.quantity * percent / 100).quantize(UNIT))
    if closed >= opening.quantity:
        return
    position = apply_fill(FLAT, opening)
    after = apply_fill(position, Fill(mirror_fill(opening).side, closed, closed))
    exact = Fraction(position.cost) * Fraction(closed) / Fraction(opening.quantity)
    assert abs(Fraction(position.cost - after.cost) - exact) <= Fraction(UNIT) / 2


@given(fills, quantities, values)
def test_fill_through_zero_opens_with_the_remaining_fill_value(opening, beyond, value):
    turning = Fill(mirror_fill(opening).side, opening.quantity + beyond, value)
    turned = apply_fill(apply_fill(FLAT, opening), turning)
    exact = Fraction(value) * Fraction(beyond) / Fraction(turning.quantity)
    assert abs(abs(turned.quantity) - beyond) == 0
    assert abs(Fraction(abs(turned.cost)) - exact) <= Fraction(UNIT) / 2
