"""Start, pause, tune and test strategies, and report what they do."""
