"""Views and messages, as plain dictionaries in Slack's Block Kit. Pure: data in, dictionary out."""
