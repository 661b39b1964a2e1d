"""Errors, params, progress and processes: what never changes a stage's output, so no stage depends on it."""
