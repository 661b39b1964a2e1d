"""A made-up answer of the size that a real one has, for the servers that compute nothing. Pure."""

from __future__ import annotations

PROBABILITIES = [
    0.000214,
    0.000187,
    0.001342,
    0.000471,
    0.000093,
    0.000128,
    0.000055,
    0.996204,
    0.000318,
    0.000988,
]
DIGIT = 7
