"""Notify people and channels about events, and upload the daily reports."""
