"""The stage that writes the SavedModel."""
