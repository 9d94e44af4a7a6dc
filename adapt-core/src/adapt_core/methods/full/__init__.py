"""Full fine-tuning: every parameter is trained."""
