"""Creates, lists and evaluates alerts."""
