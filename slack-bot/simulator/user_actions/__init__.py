"""What a person does: type, fill in, click; each turned into the delivery that Slack would make of it."""
