"""Pose detection: the keypoints of each object in an image, from its box."""
