"""Handwritten digits: from labelled images to a gated, exported model."""
