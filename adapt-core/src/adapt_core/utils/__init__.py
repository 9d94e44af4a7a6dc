"""Files, spelling and units: nothing of fine-tuning."""
