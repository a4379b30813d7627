"""Settings of the paper market. By default there is no latency, slippage, spread, size limit or rejection."""

from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from app.money import ZERO


class Slippage(StrEnum):
    """The amount by which market orders and stops fill worse than at the current price."""

    NONE = "none"
    HALF_SPREAD = "half_spread"
    BASIS_POINTS = "basis_points"
    VOLUME_SHARE = "volume_share"


class PaperSettings(NamedTuple):
    """The settings of the paper market.

    `spread` is in currency and applies if only a last price or a bar is known. `participation` is the share
    of a quote's size or a bar's volume that one portfolio gets (0.1 is 10%). None means all of a size, and
    any quantity on a bar.

    `basis_points` and `impact` are parameters of the slippage models. The impact is the share of the price
    that taking the whole volume costs; it grows with the square of the share taken. `reject_share` of the
    orders, selected by `seed` and order id, are rejected.
    """

    spread: Decimal = ZERO
    participation: Decimal | None = None
    slippage: Slippage = Slippage.NONE
    basis_points: Decimal = ZERO
    impact: Decimal = Decimal("0.1")
    latency: timedelta = timedelta(0)
    reject_share: Decimal = ZERO
    seed: str = ""


IDEAL_MARKET = PaperSettings()


def set_portfolio_terms(
    settings: PaperSettings, participation: Decimal | None, basis_points: Decimal | None
) -> PaperSettings:
    """Return the settings with a portfolio's own participation and slippage, None where it has none."""
    if participation is not None:
        settings = settings._replace(participation=participation)
    if basis_points is not None:
        settings = settings._replace(slippage=Slippage.BASIS_POINTS, basis_points=basis_points)
    return settings
