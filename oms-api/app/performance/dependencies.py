"""Dependencies of the routes of performance."""

from typing import Annotated

from app.performance.service.reading import PerformanceReader
from app.wire.dependencies import part

PerformanceDep = Annotated[PerformanceReader, part("performance")]
