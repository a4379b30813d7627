"""What the bot does about a delivery, and how failures are said."""
