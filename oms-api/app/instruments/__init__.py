"""What can be traded; so far the form of its symbols."""
