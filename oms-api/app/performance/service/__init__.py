"""Value portfolios, store snapshots of their equity, and report their performance."""
