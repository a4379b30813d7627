"""Query parameters and response bodies of reports."""
