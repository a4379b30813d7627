"""A random walk whose value at any second is computed directly.

Every 2^17 seconds (a day and a half) the walk has an anchor that is drawn from the seed. Between two known
points, the middle one is their mean plus a draw of suitable size (Lévy's construction of Brownian motion),
down to one second. Draws are hashes and sums are integers, so that a seed gives the same prices on every
machine.
"""

import hashlib
from functools import lru_cache
from itertools import chain, pairwise
from math import isqrt

UNIT = 1_000_000_000  # deviations are in multiples of 1/UNIT
SPAN_BITS = 17
SPAN_SECONDS = 1 << SPAN_BITS
_ANCHOR_SIZE = UNIT * 2 // 100  # the standard deviation of an anchor
_MIDDLE_SIZE = UNIT // 100  # the deviation of the first midpoint; each finer one is smaller by √2
_DRAW_SIZE = 37_837  # the deviation of `_draw`: √(4 × 65,536² / 12)
_SIZES = tuple(isqrt(_MIDDLE_SIZE * _MIDDLE_SIZE >> depth) for depth in range(SPAN_BITS))


def compute_deviation(key: bytes, second: int) -> int:
    """Return the deviation of the walk of `key` from its base price at a second since 1970, in 1/UNIT."""
    start = second >> SPAN_BITS << SPAN_BITS
    start_value, end_value = _compute_anchor(key, start), _compute_anchor(key, start + SPAN_SECONDS)
    width, depth = SPAN_SECONDS, 0
    while second != start:
        width >>= 1
        middle = _compute_middle(key, start + width, depth, start_value, end_value)
        if second < start + width:
            end_value = middle
        else:
            start, start_value = start + width, middle
        depth += 1
    return start_value


def compute_deviations(key: bytes, start: int, end: int, step: int) -> list[int]:
    """Return the deviations at start, start + step, … before `end`.

    `step` is a power of two that divides `start`.
    """
    deviations: list[int] = []
    for span in range(start >> SPAN_BITS << SPAN_BITS, end, SPAN_SECONDS):
        first, last = max(start, span), min(end, span + SPAN_SECONDS)
        count = -((first - last) // step)
        deviations += _compute_points(key, span, first, last, step)[:count] if count > 0 else ()
    return deviations


def draw_number(key: bytes, text: bytes) -> int:
    """Return a number below 2^64 that is determined by the key and the text."""
    return int.from_bytes(hashlib.blake2b(text, digest_size=8, key=key).digest(), "big")


def _compute_points(key: bytes, span: int, start: int, end: int, step: int) -> list[int]:
    """Return the points from `start` to past `end`: halved level by level and cut to the wanted range."""
    at, width = span, SPAN_SECONDS
    points = [_compute_anchor(key, span), _compute_anchor(key, span + SPAN_SECONDS)]
    for depth in range(SPAN_BITS - step.bit_length() + 1):
        half = width >> 1
        middles = [
            _compute_middle(key, at + half + index * width, depth, start_value, end_value)
            for index, (start_value, end_value) in enumerate(pairwise(points))
        ]
        points = [*chain.from_iterable(zip(points, middles, strict=False)), points[-1]]
        width = half
        skipped = (start - at) // width
        at += skipped * width
        points = points[skipped : skipped - (at - end) // width + 1]
    return points


def _compute_middle(key: bytes, at: int, depth: int, start_value: int, end_value: int) -> int:
    return (start_value + end_value) // 2 + _draw(key, at) * _SIZES[depth] // _DRAW_SIZE


def _compute_anchor(key: bytes, at: int) -> int:
    return _draw(key, at) * _ANCHOR_SIZE // _DRAW_SIZE


@lru_cache(maxsize=65_536)
def _draw(key: bytes, at: int) -> int:
    """Return an approximately normal draw with mean zero: the sum of four uniform ones."""
    drawn = draw_number(key, at.to_bytes(8, "big"))
    mask = 0xFFFF
    return (drawn & mask) + (drawn >> 16 & mask) + (drawn >> 32 & mask) + (drawn >> 48) - 2 * mask
