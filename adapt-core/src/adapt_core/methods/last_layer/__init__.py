"""Last-layer tuning: the head, and if asked the last blocks beside it."""
