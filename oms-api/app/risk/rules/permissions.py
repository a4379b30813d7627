"""What may be traded: lists of symbols, sides and products that are set as limits. Every list narrows, and
none widens: an order must be on all that hold for it.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from app.risk.rules.limits import LISTS, LimitCode, LimitScope, SetLimit, Subject, places_of
from app.risk.rules.values import EVERYTHING, Permission

NO_PRODUCT = "NONE"  # how a list names orders without a product

Lists = Mapping[tuple[LimitCode, LimitScope, str], frozenset[str]]  # by code, scope and key of the name


class Refusal(NamedTuple):
    """What is not on a list, and what is."""

    what: str
    asked: str
    granted: list[str]


def lists_of(limits: Iterable[SetLimit]) -> Lists:
    """Return the lists among limits."""
    return {
        (one.code, one.scope, one.key): frozenset(one.words.split(","))
        for one in limits
        if one.words is not None
    }


def permission_for(subject: Subject, lists: Lists) -> Permission:
    """Return what the lists leave to an order."""
    if not lists:
        return EVERYTHING
    places = places_of(subject)
    granted = []
    for code in LISTS:
        found = [lists[code, *place] for place in places if (code, *place) in lists]
        granted.append(frozenset.intersection(*found) if found else None)
    return Permission(*granted) if any(one is not None for one in granted) else EVERYTHING


def refusal(permission: Permission, symbol: str, side: str, product: str) -> Refusal | None:
    """Return what of an order is not on a list, None where all of it is."""
    asked = (symbol, side, product or NO_PRODUCT)
    for what, granted, one in zip(("symbol", "side", "product"), permission, asked, strict=True):
        if granted is not None and one not in granted:
            return Refusal(what, one, sorted(granted))
    return None
