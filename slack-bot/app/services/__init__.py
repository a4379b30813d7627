"""Carry out Slack's requests, and describe failures to people."""
