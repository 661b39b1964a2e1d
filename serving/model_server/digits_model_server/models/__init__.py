"""The configured models: which versions are loaded, and how they are loaded and unloaded."""
