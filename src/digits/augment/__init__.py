"""Data augmentation: what preprocess shows and train applies."""
