"""Load and scale benchmarks. Each figure is a ratio to a limit measured in the same run."""
