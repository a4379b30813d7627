"""Seeds of random tests: a few in every run, a hundred in the long one. Each test prints its seed."""

import time
from random import Random

import pytest

CRASHES = 5  # on one database, in the long run


def parametrize_seeds(short: int = 1, rounds: int = 100) -> pytest.MarkDecorator:
    """Parametrise `seed` and `crashes`: `short` crashes in every run, `rounds` more in the long one."""
    long = [pytest.param(seed, CRASHES, marks=pytest.mark.long) for seed in range(1, rounds // CRASHES + 1)]
    return pytest.mark.parametrize(("seed", "crashes"), [(0, short), *long])


def create_random(seed: int, test: str) -> Random:
    """Return the source of chance of a test, and say its seed."""
    print(f"{test}: seed {seed}")  # shown with a failure
    return Random(f"{test}-{seed}")


def sleep_at_random(random: Random, most_seconds: float = 0.02) -> None:
    """Let the fault fall at a random moment."""
    time.sleep(random.uniform(0, most_seconds))
