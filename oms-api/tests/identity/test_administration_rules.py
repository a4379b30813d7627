"""Callers cannot grant scopes, roles, portfolios or lifetimes beyond their own."""

from datetime import timedelta

import pytest

from app.identity.errors import RightsExceeded
from app.identity.rules.access import SCOPES_OF_ROLE, Caller, Role, Scope
from app.identity.rules.administration import (
    NewUser,
    compute_granted_expiry,
    format_retired_name,
    require_portfolios,
    require_role,
    require_scopes,
)
from app.identity.rules.keys import NAME_LENGTH
from tests.factories import NOON


def caller(role=Role.ADMIN, **facts):
    return Caller(1, "k", "k", SCOPES_OF_ROLE[role], **facts)


@pytest.mark.parametrize("own", list(Role))
@pytest.mark.parametrize("given", list(Role))
def test_a_role_is_given_by_those_who_have_all_of_it(own, given):
    if SCOPES_OF_ROLE[given] <= SCOPES_OF_ROLE[own]:
        require_role(caller(own), given)
    else:
        with pytest.raises(RightsExceeded, match="you do not have it yourself"):
            require_role(caller(own), given)


def test_of_several_roles_all_must_be_ones_own():
    require_role(caller(Role.APPROVER), Role.VIEWER, Role.TRADER)
    with pytest.raises(RightsExceeded):
        require_role(caller(Role.APPROVER), Role.VIEWER, Role.RISK)


def test_the_refusal_names_what_is_lacking():
    with pytest.raises(RightsExceeded, match="'admin', 'tenants'"):
        require_scopes(caller(Role.TRADER), [Scope.TENANTS, Scope.READ, Scope.ADMIN])


@pytest.mark.parametrize(
    ("own", "given", "passes"),
    [
        (None, None, True),
        (None, ["a"], True),
        (frozenset("ab"), ["a"], True),
        (frozenset("ab"), [], True),
        (frozenset("ab"), ["a", "c"], False),
        (frozenset("ab"), None, False),
        (frozenset(), ["a"], False),
    ],
)
def test_portfolios_are_given_from_ones_own(own, given, passes):
    if passes:
        require_portfolios(caller(portfolios=own), given)
    else:
        with pytest.raises(RightsExceeded):
            require_portfolios(caller(portfolios=own), given)


LATER = NOON + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("own", "wanted", "is_said", "granted"),
    [
        (None, None, False, None),
        (None, None, True, None),
        (None, LATER, True, LATER),
        (NOON, None, False, NOON),
        (NOON, NOON, True, NOON),
        (LATER, NOON, True, NOON),
    ],
)
def test_time_is_given_from_ones_own(own, wanted, is_said, granted):
    assert compute_granted_expiry(caller(expires_at=own), wanted, is_said=is_said) == granted


@pytest.mark.parametrize("wanted", [None, LATER])
def test_nothing_outlives_who_gave_it(wanted):
    with pytest.raises(RightsExceeded, match="must not be later"):
        compute_granted_expiry(caller(expires_at=NOON), wanted, is_said=True)


@pytest.mark.parametrize("name", ["bot", "x" * NAME_LENGTH])
def test_a_retired_name_tells_its_key_and_fits(name):
    retired = format_retired_name(name, "0123456789ab", NAME_LENGTH)
    assert retired.endswith("~0123456789ab")
    assert len(retired) == min(len(name) + 13, NAME_LENGTH)


def test_a_password_is_in_no_repr():
    assert "secret" not in repr(NewUser("A", Role.VIEWER, password="secret"))
