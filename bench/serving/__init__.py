"""Measures model servers side by side under load."""
