"""How kind the paper market is; by default very: no latency, slippage, limit, spread or rejects."""

from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from app.money import ZERO


class Slippage(StrEnum):
    """What makes market orders and stops fill at a worse price than the one seen."""

    NONE = "none"
    HALF_SPREAD = "half_spread"
    BASIS_POINTS = "basis_points"
    VOLUME_SHARE = "volume_share"


class PaperSettings(NamedTuple):
    """`spread` in currency, where only a last price or a bar is known. `participation` is the share of a
    quote's size or a bar's volume that one portfolio gets (0.1 is 10%), None: all of a size, any quantity on
    a bar.

    `basis_points` and `impact` belong to their slippages; the impact is the share of the price that taking
    the whole volume costs, and grows with the square of the share taken. `reject_share` of the orders, chosen
    by `seed` and order id, are rejected.
    """

    spread: Decimal = ZERO
    participation: Decimal | None = None
    slippage: Slippage = Slippage.NONE
    basis_points: Decimal = ZERO
    impact: Decimal = Decimal("0.1")
    latency: timedelta = timedelta(0)
    reject_share: Decimal = ZERO
    seed: str = ""


KIND = PaperSettings()
