"""Trading calendars: the sessions of each market, from tables of this release."""
