"""What summarization and translation share: models that write a text out of a text."""
