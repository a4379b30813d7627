"""What a quote, a session, a day or a corporate action does to orders."""
