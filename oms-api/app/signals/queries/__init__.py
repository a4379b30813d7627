"""Statements about signals, the rules of strategies and hooks."""
