"""Actions of a person: type, fill in, click. Each makes the delivery that Slack would make."""
