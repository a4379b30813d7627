"""Build Slack views and messages as Block Kit dictionaries. The functions have no side effects."""
