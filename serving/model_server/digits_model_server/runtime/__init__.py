"""TensorFlow's C library: SavedModels, sessions and tensors."""
