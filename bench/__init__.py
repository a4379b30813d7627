"""Load and scale benchmarks; each figure stands as a ratio to a limit measured in the same run."""
