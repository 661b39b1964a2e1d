"""Predict, Classify, Regress and MultiInference on one loaded version."""
