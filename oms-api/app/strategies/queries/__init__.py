"""Statements about strategies."""
