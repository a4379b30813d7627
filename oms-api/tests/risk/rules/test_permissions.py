"""The symbols, sides and products that lists permit."""

from decimal import Decimal

import pytest

from app.risk.rules.limits import LimitCode, LimitScope, LimitSubject, RiskLimit
from app.risk.rules.permissions import find_permission_refusal, index_permission_lists, resolve_permission
from app.risk.rules.values import EVERYTHING_ALLOWED, Permission

SUBJECT = LimitSubject("growth", "AAPL", "U1", "momentum", key="key:algo")


def build_list_entry(scope, key, symbols, code=LimitCode.ALLOWED_SYMBOLS):
    return RiskLimit(scope, key, key, code, Decimal(0), allowed_values=symbols)


def test_amount_limits_are_not_permission_lists():
    amount = RiskLimit(LimitScope.TENANT, "", "", LimitCode.MAX_PRICE, Decimal(5))
    assert index_permission_lists([amount]) == {}
    assert resolve_permission(SUBJECT, {}) is EVERYTHING_ALLOWED


def test_lists_of_other_scopes_permit_everything():
    lists = index_permission_lists([build_list_entry(LimitScope.PORTFOLIO, "income", "MSFT")])
    assert resolve_permission(SUBJECT, lists) is EVERYTHING_ALLOWED


@pytest.mark.parametrize(
    ("scope", "key"),
    [
        (LimitScope.TENANT, ""),
        (LimitScope.PORTFOLIO, "growth"),
        (LimitScope.USER, "U1"),
        (LimitScope.USER, "key:algo"),
        (LimitScope.STRATEGY, "momentum"),
    ],
)
def test_list_of_any_matching_scope_applies(scope, key):
    lists = index_permission_lists([build_list_entry(scope, key, "IBM,MSFT")])
    assert resolve_permission(SUBJECT, lists) == Permission(symbols=frozenset({"IBM", "MSFT"}))


def test_several_lists_permit_their_intersection():
    several = [
        build_list_entry(LimitScope.TENANT, "", "AAPL,IBM,MSFT"),
        build_list_entry(LimitScope.STRATEGY, "momentum", "AAPL,TSLA"),
        build_list_entry(LimitScope.USER, "U1", "BUY", LimitCode.ALLOWED_SIDES),
    ]
    assert resolve_permission(SUBJECT, index_permission_lists(several)) == Permission(
        frozenset({"AAPL"}), frozenset({"BUY"})
    )


def test_first_unlisted_attribute_is_reported():
    permission = Permission(frozenset({"AAPL"}), frozenset({"BUY"}), frozenset({"CNC", "NONE"}))
    assert find_permission_refusal(permission, "AAPL", "BUY", "") is None
    assert find_permission_refusal(permission, "AAPL", "BUY", "CNC") is None
    assert find_permission_refusal(permission, "MSFT", "SELL", "MIS") == ("symbol", "MSFT", ["AAPL"])
    assert find_permission_refusal(permission, "AAPL", "SELL", "MIS") == ("side", "SELL", ["BUY"])
    assert find_permission_refusal(permission, "AAPL", "BUY", "MIS") == ("product", "MIS", ["CNC", "NONE"])
