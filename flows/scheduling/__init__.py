"""The project's own Prefect: its settings, its server, the scheduler and what that puts right."""
