"""Dependencies of the routes of signals."""

from typing import Annotated

from fastapi import Depends

from app.http.app_state import Component
from app.signals.service.planning import SignalPlanner
from app.signals.service.signal_service import SignalService

SIGNALS = Component[SignalService]("signals")
SignalsDep = Annotated[SignalService, Depends(SIGNALS)]
SIGNAL_PLANNER = Component[SignalPlanner]("signal_planner")
SignalPlannerDep = Annotated[SignalPlanner, Depends(SIGNAL_PLANNER)]
