"""The REST server and its API."""
