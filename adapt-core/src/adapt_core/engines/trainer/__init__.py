"""The engine on Hugging Face's ``Trainer``."""
