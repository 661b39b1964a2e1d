"""From an exported model to answers: the store of published versions, the checks before them, the servers."""
