"""The roles that user groups of a Slack workspace give."""

from collections.abc import Collection, Mapping

from app.identity.rules.access import Role

# A person who can edit a user group must not be able to make approvers, so groups give no more than this.
GROUP_ROLES = (Role.VIEWER, Role.TRADER)


def choose_role(
    current: Role | None, groups: Collection[str], roles: Mapping[str, str], default: str | None
) -> Role | None:
    """Return the role that a person gets, None if nothing changes.

    `current` is None for a person who is not a user yet. `groups` are the ids of the person's user groups,
    `roles` the role of each group that has one. `default` is the tenant's role for new people from Slack: it
    applies to people without such a group. Higher roles, which administrators set, never change.
    """
    if not roles or (current is not None and current not in GROUP_ROLES):
        return None
    granted_roles = {roles[group] for group in groups if group in roles}
    if not granted_roles and current is None:
        return None
    is_trader = Role.TRADER in granted_roles if granted_roles else default == Role.TRADER
    role = Role.TRADER if is_trader else Role.VIEWER
    return None if role is current else role
