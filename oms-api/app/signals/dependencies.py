"""Dependencies of the routes of signals."""

from typing import Annotated

from app.identity.dependencies import Authentication
from app.signals.service.planning import SignalPlanner
from app.signals.service.signal_service import SignalService
from app.wire.dependencies import part

SignalsDep = Annotated[SignalService, part("signals")]
SignalPlannerDep = Annotated[SignalPlanner, part("signal_planner")]
AuthenticationDep = Annotated[Authentication, part("authentication")]
