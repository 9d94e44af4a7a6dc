"""Object detection: boxes with classes in an image."""
