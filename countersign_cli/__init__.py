"""The command `countersign` for people and scripts: it talks to the API only, and imports nothing of the server."""
