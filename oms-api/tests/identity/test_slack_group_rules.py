"""The role that a person gets from user groups."""

import pytest

from app.identity.rules.access import Role
from app.identity.rules.slack_groups import choose_role

ROLES = {"S1": "viewer", "S2": "trader"}
VIEWER, TRADER = Role.VIEWER, Role.TRADER


@pytest.mark.parametrize(
    ("current", "groups", "default", "expected_role"),
    [
        (None, ["S1"], "trader", VIEWER),
        (None, ["S1", "S2"], None, TRADER),
        (None, ["S9"], "trader", None),
        (VIEWER, ["S2"], "viewer", TRADER),
        (TRADER, ["S2"], "viewer", None),
        (TRADER, ["S1"], "trader", VIEWER),
        (TRADER, [], "viewer", VIEWER),
        (TRADER, [], None, VIEWER),
        (VIEWER, [], "trader", TRADER),
        (TRADER, [], "approver", VIEWER),
    ],
)
def test_the_highest_group_counts_and_the_default_without_one(current, groups, default, expected_role):
    assert choose_role(current, groups, ROLES, default) is expected_role


@pytest.mark.parametrize("role", [Role.APPROVER, Role.RISK, Role.ADMIN])
@pytest.mark.parametrize("groups", [[], ["S1"], ["S2"]])
def test_groups_neither_give_nor_take_higher_roles(role, groups):
    assert choose_role(role, groups, ROLES, "viewer") is None


@pytest.mark.parametrize("current", [None, VIEWER, TRADER])
def test_without_roles_for_groups_nothing_changes(current):
    assert choose_role(current, ["S1"], {}, "viewer") is None
