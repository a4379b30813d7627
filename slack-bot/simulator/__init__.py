"""A local stand-in for Slack: its Web API, its signed requests to the bot, and a page to work in."""
