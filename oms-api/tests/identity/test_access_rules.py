"""The rights of a key that acts for a person: the intersection of both."""

import pytest

from app.identity.rules.access import (
    Caller,
    Person,
    Role,
    expand_scopes,
    get_acting_caller,
    intersect_portfolios,
)


@pytest.mark.parametrize(
    ("key_portfolios", "user_portfolios", "visible"),
    [
        (None, None, None),
        ({"growth"}, None, {"growth"}),
        (None, {"income"}, {"income"}),
        ({"growth", "income"}, {"income", "crypto"}, {"income"}),
        ({"growth"}, {"income"}, set()),
    ],
)
def test_restricted_key_and_restricted_user_see_the_intersection(key_portfolios, user_portfolios, visible):
    narrowed = [
        None if portfolios is None else frozenset(portfolios)
        for portfolios in (key_portfolios, user_portfolios)
    ]
    assert intersect_portfolios(*narrowed) == (None if visible is None else frozenset(visible))


@pytest.mark.parametrize(("scopes", "manages"), [("act_as", False), ("admin", True)])
def test_bot_key_gains_no_administration_rights_through_an_admin(scopes, manages):
    key = Caller(1, "k", "bot", expand_scopes(scopes.split()))
    acting = get_acting_caller(key, Person(7, "slack:T1:U1", Role.ADMIN, active=True, portfolios=None))
    assert ("admin" in acting.scopes, "trade" in acting.scopes) == (manages, True)
    assert ("bot" in acting.scopes) is manages
    assert (acting.actor, acting.name) == ("slack:T1:U1", "bot")
