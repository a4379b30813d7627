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


def build_caller(role=Role.ADMIN, **fields):
    return Caller(1, "k", "k", SCOPES_OF_ROLE[role], **fields)


@pytest.mark.parametrize("own", list(Role))
@pytest.mark.parametrize("granted_role", list(Role))
def test_caller_can_grant_only_roles_within_their_own_rights(own, granted_role):
    if SCOPES_OF_ROLE[granted_role] <= SCOPES_OF_ROLE[own]:
        require_role(build_caller(own), granted_role)
    else:
        with pytest.raises(RightsExceeded, match="you do not have it yourself"):
            require_role(build_caller(own), granted_role)


def test_caller_needs_the_rights_of_every_granted_role():
    require_role(build_caller(Role.APPROVER), Role.VIEWER, Role.TRADER)
    with pytest.raises(RightsExceeded):
        require_role(build_caller(Role.APPROVER), Role.VIEWER, Role.RISK)


def test_grant_rejection_names_the_missing_rights():
    with pytest.raises(RightsExceeded, match="'admin', 'tenants'"):
        require_scopes(build_caller(Role.TRADER), [Scope.TENANTS, Scope.READ, Scope.ADMIN])


@pytest.mark.parametrize(
    ("own", "granted_portfolios", "passes"),
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
def test_caller_can_grant_only_their_own_portfolios(own, granted_portfolios, passes):
    if passes:
        require_portfolios(build_caller(portfolios=own), granted_portfolios)
    else:
        with pytest.raises(RightsExceeded):
            require_portfolios(build_caller(portfolios=own), granted_portfolios)


LATER = NOON + timedelta(seconds=1)


@pytest.mark.parametrize(
    ("own", "requested", "is_expiry_given", "granted"),
    [
        (None, None, False, None),
        (None, None, True, None),
        (None, LATER, True, LATER),
        (NOON, None, False, NOON),
        (NOON, NOON, True, NOON),
        (LATER, NOON, True, NOON),
    ],
)
def test_granted_expiry_is_requested_or_the_expiry_of_the_caller(own, requested, is_expiry_given, granted):
    assert (
        compute_granted_expiry(build_caller(expires_at=own), requested, is_expiry_given=is_expiry_given)
        == granted
    )


@pytest.mark.parametrize("requested", [None, LATER])
def test_expiry_after_the_expiry_of_the_caller_is_rejected(requested):
    with pytest.raises(RightsExceeded, match="must not be later"):
        compute_granted_expiry(build_caller(expires_at=NOON), requested, is_expiry_given=True)


@pytest.mark.parametrize("name", ["bot", "x" * NAME_LENGTH])
def test_retired_key_name_contains_the_key_id_and_fits_the_column(name):
    retired = format_retired_name(name, "0123456789ab", NAME_LENGTH)
    assert retired.endswith("~0123456789ab")
    assert len(retired) == min(len(name) + 13, NAME_LENGTH)


def test_password_is_not_in_any_repr():
    assert "secret" not in repr(NewUser("A", Role.VIEWER, password="secret"))
