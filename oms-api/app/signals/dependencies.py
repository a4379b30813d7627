"""Dependencies of the routes of signals."""

from typing import Annotated

from app.identity.dependencies import Authentication
from app.signals.service.planning import SignalPlanner
from app.signals.service.signal_service import SignalService
from app.wire.dependencies import part

TheSignals = Annotated[SignalService, part("signals")]
TheSignalPlanner = Annotated[SignalPlanner, part("signal_planner")]
TheAuthentication = Annotated[Authentication, part("authentication")]
