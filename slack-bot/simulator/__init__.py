"""A local replacement for Slack: its Web API, signed requests to the bot, and a page to work with."""
