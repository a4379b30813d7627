"""Receive the events of the OMS and pass each to the functions that subscribed to its type."""
