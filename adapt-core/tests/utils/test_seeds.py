"""Seeds for epochs and rows: as many as there are places to draw, and all others."""

from __future__ import annotations

import torch

from adapt_core.utils.seeds import derived_seed


def test_every_epoch_and_row_draws_other_numbers() -> None:
    """By what the CPU's generator gives, which reads 32 bits of a seed."""
    seeds = [derived_seed(56, epoch, row) for epoch in range(20) for row in range(20)]
    drawn = {torch.rand(4, generator=torch.Generator().manual_seed(seed)).sum().item() for seed in seeds}
    assert len(drawn) == 400


def test_a_seed_is_the_same_everywhere() -> None:
    """It is in no other process's hash of strings: SHA-256 of the parts as Python writes them, its first four bytes."""
    assert derived_seed(56, 1) == 0x065C8D83
