"""Recurring jobs of the service, each run by one process at a time."""
