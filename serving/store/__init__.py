"""The store of published versions: folders that never change, and one pointer to what serves."""
