"""A portfolio that trades at a broker which fails as a test says."""

import pytest

from app.verify import verify_database
from tests.order_routing.scripted_broker import Routing
from tests.orders.rig import Rig


@pytest.fixture
def routing(engine):
    """Provide a connected portfolio, with AAPL quoted 99 to 101."""
    rig = Rig(engine)
    rig.quote("99", "101", "100")
    made = Routing(rig)
    yield made
    # The broker was set by SQL, which the audit log does not know.
    assert set(verify_database(engine).failed) <= {"portfolio record"}
