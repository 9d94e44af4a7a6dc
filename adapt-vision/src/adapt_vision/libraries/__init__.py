"""Where models come from: timm and transformers, behind one interface."""
