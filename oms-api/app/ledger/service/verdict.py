"""What a verification found."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from app.ledger.rules.verification import Finding


@dataclass(frozen=True, slots=True)
class Lie:
    """Where something is not as it must be, and all that is wrong there."""

    place: str
    findings: tuple[Finding, ...]


@dataclass(slots=True)
class Verdict:
    """What was checked, how often each check failed, and the first lie, of all and of each check."""

    checked: Counter[StrEnum] = field(default_factory=Counter)
    failed: Counter[StrEnum] = field(default_factory=Counter)
    first: Lie | None = None
    first_of: dict[StrEnum, str] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Whether nothing lies."""
        return self.first is None

    def blame(self, place: str, findings: list[Finding]) -> None:
        """Note a lie."""
        self.first = self.first or Lie(place, tuple(findings))
        for check in dict.fromkeys(finding.check for finding in findings):
            self.failed[check] += 1
            self.first_of.setdefault(check, place)
