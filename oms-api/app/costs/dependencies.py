"""Dependencies of the routes of costs."""

from typing import Annotated

from fastapi import Depends

from app.costs.rules.rates import RateTable
from app.http.app_state import Component
from app.identity.dependencies.authentication import require_permission
from app.identity.rules.access import Caller, Operation

COST_RATES = Component[RateTable]("cost_rates")
RatesDep = Annotated[RateTable, Depends(COST_RATES)]
EstimateCostsCaller = Annotated[Caller, Depends(require_permission(Operation.ESTIMATE_COSTS))]
