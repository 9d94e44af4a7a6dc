"""What a person sees, and the signals that they send."""
