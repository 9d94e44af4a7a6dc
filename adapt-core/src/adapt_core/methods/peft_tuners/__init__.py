"""Every tuner of the installed PEFT, by PEFT's own name and with its own options."""
