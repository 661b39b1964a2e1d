"""Joins requests of several clients into one run of a model."""
