"""A portfolio that trades at a broker which fails as a test says."""

import pytest

from tests.order_routing.scripted_broker import Routing
from tests.orders.rig import Rig


@pytest.fixture
def routing(engine):
    """Provide a connected portfolio, with AAPL quoted 99 to 101."""
    rig = Rig(engine)
    rig.quote("99", "101", "100")
    return Routing(rig)
