"""What goes to webhooks and chat channels: written with the change, sent by a worker of its own."""
