"""The arrows of a run, and what it needs around them."""
