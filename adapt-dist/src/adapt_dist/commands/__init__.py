"""What several machines need to start a run together, in the words of what starts them."""
