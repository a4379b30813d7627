"""Resolve the lists of symbols, sides and products that may be traded.

The lists are set as limits. An order must be on every list that applies, so that a list can only narrow.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from app.risk.rules.limits import LISTS, LimitCode, LimitScope, SetLimit, Subject, list_scope_keys
from app.risk.rules.values import EVERYTHING, Permission

NO_PRODUCT = "NONE"  # the word for orders without a product in a list

Lists = Mapping[tuple[LimitCode, LimitScope, str], frozenset[str]]  # by code, scope and key of the name


class Refusal(NamedTuple):
    """The value that is not on a list, and the values that are."""

    what: str
    asked: str
    granted: list[str]


def find_lists(limits: Iterable[SetLimit]) -> Lists:
    """Return the lists among the limits."""
    return {
        (limit.code, limit.scope, limit.key): frozenset(limit.words.split(","))
        for limit in limits
        if limit.words is not None
    }


def find_permission(subject: Subject, lists: Lists) -> Permission:
    """Return what an order may trade under the lists."""
    if not lists:
        return EVERYTHING
    scope_keys = list_scope_keys(subject)
    permissions = []
    for code in LISTS:
        matching_lists = [lists[code, *scope_key] for scope_key in scope_keys if (code, *scope_key) in lists]
        permissions.append(frozenset.intersection(*matching_lists) if matching_lists else None)
    return Permission(*permissions) if any(part is not None for part in permissions) else EVERYTHING


def find_refusal(permission: Permission, symbol: str, side: str, product: str) -> Refusal | None:
    """Return the first value of an order that is not on its list, None if all are."""
    values = (symbol, side, product or NO_PRODUCT)
    for field, allowed_values, value in zip(("symbol", "side", "product"), permission, values, strict=True):
        if allowed_values is not None and value not in allowed_values:
            return Refusal(field, value, sorted(allowed_values))
    return None
