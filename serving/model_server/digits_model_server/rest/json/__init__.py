"""How JSON bodies are read and answers written, as TensorFlow Serving does."""
