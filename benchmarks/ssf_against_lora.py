"""SSF against LoRA on the same layers: the time of a training step, and what it keeps for the backward pass.

    python benchmarks/ssf_against_lora.py [--steps 40]

Both train all linear layers of MiniLM's encoder, and the same head, on batches of 16 x 64 tokens: LoRA with r = 8 and
without dropout, SSF as it comes. A step is forward, backward and AdamW. Their steps alternate, which of the two comes
first too. Activations kept are the tensors that autograd saves in one forward pass, each storage counted once and
those of parameters not at all. Exits with 1 where SSF is slower or keeps more.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from typing import Any

import torch
from common import SEED, minilm
from torch import Tensor

from adapt_core import apply_method
from adapt_core.models.counting import count_parameters
from adapt_core.terminal.quiet import quiet_libraries

ROWS, TOKENS, LABELS = 16, 64, 2
WARM_UP = 3
METHODS: dict[str, dict[str, Any]] = {"lora": {"r": 8, "dropout": 0.0}, "ssf": {}}


class Contestant:
    """MiniLM under one method, with an optimizer and a batch of its own."""

    def __init__(self, method: str, device: str) -> None:
        from transformers import AutoModelForSequenceClassification

        torch.manual_seed(SEED)
        with quiet_libraries():
            model = AutoModelForSequenceClassification.from_pretrained(minilm(), num_labels=LABELS)
        model = apply_method(model, method, target_modules="all-linear", **METHODS[method])
        self.model = model.to(device).train()
        trained = [each for each in self.model.parameters() if each.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=1e-4)
        generator = torch.Generator().manual_seed(SEED)
        ids = torch.randint(1000, self.model.config.vocab_size, (ROWS, TOKENS), generator=generator)
        labels = torch.randint(LABELS, (ROWS,), generator=generator)
        batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
        self.batch = {name: each.to(device) for name, each in batch.items()}
        self.seconds: list[float] = []

    def step(self) -> None:
        """One step of training, timed."""
        _wait()
        begin = time.perf_counter()
        self.model(**self.batch).loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        _wait()
        self.seconds.append(time.perf_counter() - begin)

    def kept_bytes(self) -> int:
        """Bytes of the storages that one forward pass keeps for the backward pass, without those of parameters."""
        parameters = {each.untyped_storage().data_ptr() for each in self.model.parameters()}
        kept: dict[int, int] = {}

        def note(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in parameters:
                kept[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            loss = self.model(**self.batch).loss  # which keeps them until the sum is taken
        total = sum(kept.values())
        del loss
        return total


def _wait() -> None:
    """Until a GPU has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def main() -> int:
    """Runs both and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=40, help="measured steps of each")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    arguments = parser.parse_args()
    both = {name: Contestant(name, arguments.device) for name in METHODS}
    for index in range(WARM_UP + arguments.steps):
        for each in list(both.values())[:: 1 if index % 2 else -1]:
            each.step()

    lora, ssf = both.values()
    for each in both.values():
        del each.seconds[:WARM_UP]
    time_ratio = statistics.median(own / its for own, its in zip(ssf.seconds, lora.seconds, strict=True))
    kept = {name: each.kept_bytes() for name, each in both.items()}
    where = torch.cuda.get_device_name() if arguments.device == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    print(f"MiniLM, all linear layers, {ROWS} x {TOKENS} tokens, {arguments.steps} steps each by turns, {where}\n")
    print(
        "| method | trainable | step, ms (median) | of LoRA's (median of pairs) | activations kept, MiB | of LoRA's |"
    )
    print("|---|---|---|---|---|---|")
    for name, each in both.items():
        ratio = 1.0 if each is lora else time_ratio
        cells = [f"{count_parameters(each.model)['trainable']:,}", f"{1000 * statistics.median(each.seconds):.0f}"]
        cells += [f"{ratio:.3f}", f"{kept[name] / 2**20:.1f}", f"{kept[name] / kept['lora']:.3f}"]
        print(f"| {name} | {' | '.join(cells)} |")
    won = time_ratio <= 1 and kept["ssf"] < kept["lora"]
    print(f"\nno slower and keeps less: {'yes' if won else 'NO'}")
    return 0 if won else 1


if __name__ == "__main__":
    sys.exit(main())
