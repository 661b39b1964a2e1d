"""Orchestration: when to retrain, in which order to publish, try and promote, and what to do on failure.

Nothing here computes with images or repeats the graph: dvc.yaml has it, DVC decides what is stale.
"""
