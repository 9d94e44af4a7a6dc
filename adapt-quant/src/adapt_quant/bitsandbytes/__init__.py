"""The quantizers of bitsandbytes, through transformers."""
