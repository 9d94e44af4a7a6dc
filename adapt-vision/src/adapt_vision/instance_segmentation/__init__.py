"""Instance segmentation: objects with classes and masks in an image."""
