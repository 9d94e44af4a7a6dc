"""Translation: a text of another language out of a text."""
