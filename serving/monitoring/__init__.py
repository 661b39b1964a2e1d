"""Watches what is served: reads the request logs, and compares them with what the version was made from."""
