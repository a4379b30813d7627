"""Start, pause, tune and test strategies, and report their results."""
