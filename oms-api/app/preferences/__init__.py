"""Settings of people: defaults of tickets, formats, quiet hours, notifications and watchlists."""
