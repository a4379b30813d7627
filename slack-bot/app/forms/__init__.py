"""Parse command lines and forms into tickets, or into sentences about invalid entries.

Without side effects.
"""
