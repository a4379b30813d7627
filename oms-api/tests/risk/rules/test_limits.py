"""The limits that apply: the smallest of caps, the most specific of parameters, none expired."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.risk.rules.limits import (
    LimitCode,
    LimitScope,
    LimitSubject,
    RiskLimit,
    filter_active_limits,
    index_limits,
    list_limited_scopes,
    remove_unlimited_names,
    resolve_limits,
)

SUBJECT = LimitSubject("growth", "AAPL", "U1", "momentum")
KEYS = {
    LimitScope.TENANT: "",
    LimitScope.PORTFOLIO: "growth",
    LimitScope.USER: "U1",
    LimitScope.STRATEGY: "momentum",
    LimitScope.ASSET_CLASS: "equity",
    LimitScope.INSTRUMENT: "AAPL",
}
NOW = "2026-11-20T12:00:00.000000Z"
LATER = "2026-11-20T13:00:00.000000Z"
EARLIER = "2026-11-20T11:00:00.000000Z"


def build_limit(scope, value, code=LimitCode.MAX_ORDER_VALUE, key=None, until=None):
    name = KEYS[scope] if key is None else key
    return RiskLimit(scope, name, name, code, Decimal(value), until)


def select_limits(*rows, subject=SUBJECT):
    return resolve_limits(subject, index_limits(rows))


def test_default_profile_applies_to_limits_that_are_not_set():
    limits = select_limits()
    assert (limits.max_order_quantity, limits.max_order_value) == (1_000_000, 100_000_000)
    assert (limits.min_price, limits.max_price) == (Decimal("0.00000001"), 1_000_000)
    assert (limits.price_collar_percent, limits.short_selling) == (10, True)
    assert (limits.max_position_value, limits.max_gross_exposure, limits.missing) == (None, None, ())


PARAMETERS = ("MIN_PRICE", "MAX_PRICE", "PRICE_COLLAR_PERCENT", "REPEAT_ORDER_SECONDS")
# Set for the tenant these hold for the firm, lists have no number, and a switch is 0 or 1.
OTHERS = ("SHORT_SELLING", "STARTER_PROFILE", "ALLOWED_SYMBOLS", "ALLOWED_SIDES", "ALLOWED_PRODUCTS")
CAPS = tuple(code for code in LimitCode if code not in {*PARAMETERS, *OTHERS})


@given(st.sampled_from(PARAMETERS), st.sets(st.sampled_from(list(LimitScope)), min_size=1))
def test_most_specific_parameter_applies(code, scopes):
    specific = list(LimitScope)
    rows = [build_limit(scope, specific.index(scope) + 1, LimitCode(code)) for scope in scopes]
    most = max(specific.index(scope) for scope in scopes) + 1
    assert getattr(select_limits(*rows), code.lower()) == most


@given(
    st.sampled_from(CAPS),
    st.dictionaries(
        st.sampled_from([limit_scope for limit_scope in LimitScope if limit_scope is not LimitScope.TENANT]),
        st.integers(1, 1_000),
        min_size=1,
    ),
)
def test_smallest_cap_applies(code, values):
    rows = [build_limit(scope, value, code) for scope, value in values.items()]
    assert getattr(select_limits(*rows), code.lower()) == min(values.values())


def test_strategy_limit_cannot_widen_a_cap():
    rows = [build_limit(LimitScope.TENANT, 1_000), build_limit(LimitScope.STRATEGY, 10**6)]
    assert select_limits(*rows).max_order_value == 1_000
    short = LimitCode.SHORT_SELLING
    rows = [build_limit(LimitScope.PORTFOLIO, 0, short), build_limit(LimitScope.STRATEGY, 1, short)]
    assert select_limits(*rows).short_selling is False
    runs = LimitCode.REPEATED_EXECUTIONS
    rows = [build_limit(LimitScope.USER, 50, runs), build_limit(LimitScope.STRATEGY, 0, runs)]
    assert select_limits(*rows).repeated_executions == 50


@given(st.sampled_from([scope for scope in LimitScope if scope is not LimitScope.TENANT]))
def test_limit_of_another_scope_does_not_apply(scope):
    assert select_limits(build_limit(scope, 5, key="another")).max_order_value == 100_000_000


def test_asset_class_limit_ranks_between_instrument_and_strategy():
    collar = LimitCode.PRICE_COLLAR_PERCENT
    rows = [
        build_limit(LimitScope.STRATEGY, 5, collar),
        build_limit(LimitScope.ASSET_CLASS, 3, collar),
        build_limit(LimitScope.ASSET_CLASS, 2, collar, key="crypto"),
    ]
    coin = SUBJECT._replace(asset_class="crypto")
    assert select_limits(*rows).price_collar_percent == 3
    assert (
        select_limits(
            *rows, subject=remove_unlimited_names(coin, list_limited_scopes(index_limits(rows)))
        ).price_collar_percent
        == 2
    )
    own = build_limit(LimitScope.INSTRUMENT, 7, collar)
    assert select_limits(*rows, own).price_collar_percent == 7


def test_missing_user_or_strategy_has_no_limit():
    plain = LimitSubject("growth", "AAPL")
    assert select_limits(build_limit(LimitScope.USER, 5), subject=plain).max_order_value == 100_000_000


@pytest.mark.parametrize(
    ("code", "set_", "label", "is_valid"),
    [
        ("MAX_ORDER_VALUE", 50, 99, 50),
        ("MAX_ORDER_VALUE", 50, 9, 9),
        ("MAX_ORDER_VALUE", None, 10**9, 100_000_000),
        ("MAX_OPEN_ORDERS", None, 7, 7),
        ("MIN_PRICE", 5, 1, 5),
        ("MIN_PRICE", 5, 9, 9),
        ("REPEATED_EXECUTIONS", 5, 0, 5),
        ("REPEATED_EXECUTIONS", 5, 3, 3),
        ("REPEATED_EXECUTIONS", 0, 3, 3),
    ],
)
def test_label_limit_can_only_narrow(code, set_, label, is_valid):
    subject = LimitSubject("growth", "AAPL", "slack:T1:UBOSS", key="key:algo")
    rows = [build_limit(LimitScope.USER, label, LimitCode(code), "slack:T1:UBOSS")]
    rows += [] if set_ is None else [build_limit(LimitScope.PORTFOLIO, set_, LimitCode(code))]
    places = list_limited_scopes(index_limits(rows))
    assert (
        getattr(select_limits(*rows, subject=remove_unlimited_names(subject, places)), code.lower())
        == is_valid
    )
    person = subject._replace(key=None)
    own = (
        label if set_ is None or code == "MIN_PRICE" else is_valid
    )  # a person's own parameter wins, no cap does
    assert getattr(select_limits(*rows, subject=remove_unlimited_names(person, places)), code.lower()) == own


def test_starter_profile_applies_to_a_label_but_not_to_a_key_name():
    starter = build_limit(LimitScope.USER, 1, LimitCode.STARTER_PROFILE, "U1")
    assert select_limits(starter, subject=SUBJECT._replace(key="key:algo")).max_order_quantity == 100
    own = build_limit(LimitScope.USER, 10**9, LimitCode.MAX_ORDER_VALUE, "key:algo")
    assert (
        select_limits(own, subject=LimitSubject("growth", "AAPL", "key:algo", key="key:algo")).max_order_value
        == 10**9
    )


def test_tenant_exposure_limits_apply_to_the_sum_of_portfolios():
    gross = LimitCode.MAX_GROSS_EXPOSURE
    rows = [build_limit(LimitScope.TENANT, 100, gross), build_limit(LimitScope.PORTFOLIO, 500, gross)]
    limits = select_limits(*rows)
    assert (limits.max_gross_exposure, limits.firm_gross_exposure) == (500, 100)
    assert select_limits(rows[0]).max_gross_exposure is None


def test_starter_profile_can_be_enabled_for_a_portfolio():
    starter = build_limit(LimitScope.PORTFOLIO, 1, LimitCode.STARTER_PROFILE)
    assert select_limits(starter).max_order_quantity == 100
    assert select_limits(starter).max_position_value == 10_000
    coins = SUBJECT._replace(asset_class="crypto")
    assert select_limits(starter, subject=coins).max_order_quantity == 1
    assert (
        select_limits(
            starter, build_limit(LimitScope.USER, 7, LimitCode.MAX_ORDER_QUANTITY)
        ).max_order_quantity
        == 7
    )
    off = build_limit(LimitScope.STRATEGY, 0, LimitCode.STARTER_PROFILE)
    assert (
        select_limits(starter, off).max_order_quantity == 100
    )  # naming a strategy switches it off for nobody


def test_live_portfolio_has_no_default_profile():
    live = SUBJECT._replace(is_live=True)
    limits = select_limits(build_limit(LimitScope.PORTFOLIO, 1), subject=live)
    assert limits.max_order_value == 1
    assert {"MAX_ORDER_QUANTITY", "MAX_DRAWDOWN", "SHORT_SELLING"} <= set(limits.missing)
    assert "MAX_ORDER_VALUE" not in limits.missing
    every = [build_limit(LimitScope.TENANT, 1, code) for code in LimitCode]
    assert select_limits(*every, subject=live).missing == ()


def test_limit_of_zero_applies():
    assert select_limits(build_limit(LimitScope.USER, 0)).max_order_value == 0
    assert select_limits(build_limit(LimitScope.USER, 0, LimitCode.SHORT_SELLING)).short_selling is False


def test_temporary_limit_overrides_a_permanent_one_until_it_expires():
    lasting, passing = build_limit(LimitScope.USER, 10), build_limit(LimitScope.USER, 99, until=LATER)
    assert filter_active_limits([passing, lasting], NOW) == [passing]
    assert filter_active_limits([lasting, passing], LATER) == [lasting]
    assert filter_active_limits([build_limit(LimitScope.USER, 99, until=EARLIER)], NOW) == []
