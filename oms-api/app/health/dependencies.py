"""What health is read from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from sqlalchemy import Connection

from app.clock import Now
from app.database import Readers
from app.metrics import Metrics
from app.rate_limit import RateLimits
from app.wire.dependencies import part


@dataclass(frozen=True, slots=True)
class Vitals:
    """The parts whose state is health. `is_current` tells whether a database has this version's tables,
    `wall` what row-level security is worth on it, `find_file_problem` why nothing can be written to its file.
    """

    readers: Readers
    is_current: Callable[[Connection], bool]
    wall: Callable[[Connection], str]
    writer_is_alive: Callable[[], bool]
    metrics: Metrics
    now: Now
    rate_limits: Callable[[], RateLimits]
    find_file_problem: Callable[[], str | None]


TheVitals = Annotated[Vitals, part("vitals")]
