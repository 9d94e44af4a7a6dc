"""The engines of the vision tasks, beside that of the core."""
