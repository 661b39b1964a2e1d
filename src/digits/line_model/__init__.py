"""The reader of whole lines: its network, how its columns are read as text, and its files."""
