"""Facts about torch models, whatever trains them."""
