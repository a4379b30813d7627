"""The effects of a quote, a session, a day or a corporate action on orders."""
