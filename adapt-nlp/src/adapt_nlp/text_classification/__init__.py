"""Text classification: one label for a text or a pair of texts."""
