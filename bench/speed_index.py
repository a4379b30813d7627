"""The speed of this machine: the seconds of a fixed Python loop, to compare the other figures by."""

import argparse
from time import perf_counter

ADDITIONS = 5_000_000
ROUNDS = 3
MAX_FAST_SECONDS = 0.30
MIN_SLOW_SECONDS = 0.45


def measure_seconds() -> float:
    """Return the seconds of 5,000,000 additions, the best of three rounds."""
    return min(_measure_once() for _ in range(ROUNDS))


def describe(seconds: float) -> str:
    """Return the class of a machine with that time: fast, medium or slow."""
    if seconds <= MAX_FAST_SECONDS:
        return "fast"
    return "slow" if seconds >= MIN_SLOW_SECONDS else "medium"


def _measure_once() -> float:
    started, total = perf_counter(), 0
    for number in range(ADDITIONS):
        total += number
    return perf_counter() - started


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    index = measure_seconds()
    print(f"speed index {index:.3f} s ({describe(index)} machine)")
