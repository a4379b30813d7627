"""A child process for strategies: it has no files, network, credentials or database."""
