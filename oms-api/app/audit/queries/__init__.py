"""The trail's statements; every one begins with the tenant."""
