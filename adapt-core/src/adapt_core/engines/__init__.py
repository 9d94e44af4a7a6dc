"""What takes the training steps."""
