"""Resolve the lists of symbols, sides and products that may be traded.

The lists are set as limits. An order must be on every list that applies, so that a list can only narrow.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from app.risk.rules.limits import LISTS, LimitCode, LimitScope, LimitSubject, RiskLimit, list_scope_keys
from app.risk.rules.values import EVERYTHING_ALLOWED, Permission

NO_PRODUCT = "NONE"  # the word for orders without a product in a list

# By code, scope and key of the name.
PermissionLists = Mapping[tuple[LimitCode, LimitScope, str], frozenset[str]]


class PermissionRefusal(NamedTuple):
    """The value that is not on a list, and the values that are."""

    what: str
    asked: str
    granted: list[str]


def index_permission_lists(limits: Iterable[RiskLimit]) -> PermissionLists:
    """Return the lists among the limits."""
    return {
        (limit.code, limit.scope, limit.key): frozenset(limit.allowed_values.split(","))
        for limit in limits
        if limit.allowed_values is not None
    }


def resolve_permission(subject: LimitSubject, lists: PermissionLists) -> Permission:
    """Return the symbols, sides and products that an order may trade under the lists."""
    if not lists:
        return EVERYTHING_ALLOWED
    scope_keys = list_scope_keys(subject)
    permissions = []
    for code in LISTS:
        matching_lists = [lists[code, *scope_key] for scope_key in scope_keys if (code, *scope_key) in lists]
        permissions.append(frozenset.intersection(*matching_lists) if matching_lists else None)
    return Permission(*permissions) if any(part is not None for part in permissions) else EVERYTHING_ALLOWED


def find_permission_refusal(
    permission: Permission, symbol: str, side: str, product: str
) -> PermissionRefusal | None:
    """Return the first value of an order that is not on its list, None if all are."""
    values = (symbol, side, product or NO_PRODUCT)
    for field, allowed_values, value in zip(("symbol", "side", "product"), permission, values, strict=True):
        if allowed_values is not None and value not in allowed_values:
            return PermissionRefusal(field, value, sorted(allowed_values))
    return None
