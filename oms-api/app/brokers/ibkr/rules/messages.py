"""Messages of TWS, and the effects of their codes.

Source: the TWS API documentation, "Error Codes".
"""

from enum import StrEnum

RATE_EXCEEDED, CLIENT_ID_IN_USE, COMPETING_SESSION = 100, 326, 10197
ORDER_CANCELED = 202
CONNECTIVITY_LOST = frozenset({1100, 2110})
CONNECTIVITY_RESTORED = frozenset({1101, 1102})
SOCKET_CLOSED = frozenset({1300})
# An order that TWS holds, or a remark about it: it stays as it is.
_REMARKS = frozenset({109, 165, 399, 404, 10167, 10311, COMPETING_SESSION})
_WARNINGS = range(2100, 2200)
_CANCEL_REFUSED = frozenset({135, 136, 161, 10147, 10148})
_REJECTED = "IBKR rejected the order."
_GROUP_IS_FILLED = "OCA group is already filled"  # TWS has no code of its own for it


class MessageEffect(StrEnum):
    """The effect of a message on the order that it is about."""

    NONE = "none"
    REFUSES_CANCEL = "refuses_cancel"
    CANCELS = "cancels"
    REFUSES_LAST_REQUEST = "refuses_last_request"  # the order, or its change
    IS_UNKNOWN = "is_unknown"  # the message may have been dropped


def find_effect(code: int) -> MessageEffect:
    """Return the effect of a message about an order."""
    if code == RATE_EXCEEDED:
        return MessageEffect.IS_UNKNOWN
    if code == ORDER_CANCELED:
        return MessageEffect.CANCELS
    if code in _CANCEL_REFUSED:
        return MessageEffect.REFUSES_CANCEL
    if code in _REMARKS or code in _WARNINGS:
        return MessageEffect.NONE
    return MessageEffect.REFUSES_LAST_REQUEST


def is_group_filled(text: str) -> bool:
    """Return whether TWS did not take an order because another one of its OCA group has filled."""
    return _GROUP_IS_FILLED in text


def format_reason(text: str) -> str:
    """Return the reason in a message without the words that TWS puts before it."""
    reason = text.partition("reason:")[2].strip() or text.strip()
    return reason or _REJECTED
