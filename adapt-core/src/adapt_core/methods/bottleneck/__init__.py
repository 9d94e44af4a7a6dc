"""Bottleneck adapters (Houlsby et al. 2019, arXiv 1902.00751), as a tuner of PEFT that Adapt brings."""
