"""Where people meet the model: the page, what it asks, and what they answer."""
