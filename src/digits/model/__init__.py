"""The network, its recipe and its weights: what train, evaluate, export and convert load."""
