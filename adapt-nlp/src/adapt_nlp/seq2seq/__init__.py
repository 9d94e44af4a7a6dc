"""What summarization and translation share: models of an encoder and a decoder that write a text out of a text."""
