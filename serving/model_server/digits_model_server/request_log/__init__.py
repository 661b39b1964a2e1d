"""The log of sampled requests, as TFRecord files."""
