"""What a verification found."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from app.ledger.rules.verification import Finding

MAX_REPORTED = 20


@dataclass(frozen=True, slots=True)
class Lie:
    """Where something is not as it must be, and all that is wrong there."""

    place: str
    findings: tuple[Finding, ...]


@dataclass(slots=True)
class Verdict:
    """What was checked, how often each check failed, and what was found first, of all and of each check.

    `reported` are the first `MAX_REPORTED` of all that was found, which are `count`.
    """

    checked: Counter[StrEnum] = field(default_factory=Counter)
    failed: Counter[StrEnum] = field(default_factory=Counter)
    reported: list[Lie] = field(default_factory=list)
    count: int = 0
    first_of: dict[StrEnum, str] = field(default_factory=dict)

    @property
    def first(self) -> Lie | None:
        """What was found first."""
        return self.reported[0] if self.reported else None

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not self.count

    def blame(self, place: str, findings: list[Finding]) -> None:
        """Note what was found at a place."""
        self.count += 1
        if len(self.reported) < MAX_REPORTED:
            self.reported.append(Lie(place, tuple(findings)))
        for check in dict.fromkeys(finding.check for finding in findings):
            self.failed[check] += 1
            self.first_of.setdefault(check, place)
