"""The settings of the paper market from the environment."""

from datetime import timedelta

from app.brokers.rules.settings import PaperSettings, Slippage
from app.config import Settings


def load_paper_settings(settings: Settings) -> PaperSettings:
    """Return the PAPER_… settings. The seed of the simulated prices also selects the rejected orders."""
    return PaperSettings(
        spread=settings.paper_spread,
        participation=settings.paper_participation,
        slippage=Slippage(settings.paper_slippage),
        basis_points=settings.paper_basis_points,
        latency=timedelta(milliseconds=settings.paper_latency_milliseconds),
        reject_share=settings.paper_reject_share,
        seed=settings.simulation_seed,
    )
