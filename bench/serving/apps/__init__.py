"""The servers that ours is held against, each a process of its own."""
