"""Runs the project's own Prefect: its settings, its server, the scheduler, and recovery after a crash."""
