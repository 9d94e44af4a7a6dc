"""SSF (Lian et al. 2022, arXiv 2210.08823), as a tuner of PEFT that Adapt brings."""
