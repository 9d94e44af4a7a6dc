"""Options of generating text, by transformers' names. Imports nothing heavy: it is loaded to check them."""

from __future__ import annotations

from typing import Any, Self

from pydantic import model_validator

from adapt_core.options import Options, option

SAMPLING = ("temperature", "top_p", "top_k", "min_p", "seed")
"""Options that mean something only where tokens are drawn."""


class GenerationOptions(Options):
    """How text is generated. What is not given is as the model's own generation_config.json has it."""

    max_new_tokens: int = option(128, gt=0, help="Most tokens to generate.")
    min_new_tokens: int | None = option(None, ge=0, help="Fewest tokens to generate.")
    do_sample: bool | None = option(None, help="Draw each token by its probability instead of taking the likeliest.")
    temperature: float | None = option(None, gt=0, help="Divides the logits before drawing: above 1 is more varied.")
    top_p: float | None = option(None, gt=0, le=1, help="Draw from the likeliest tokens of this total probability.")
    top_k: int | None = option(None, ge=0, help="Draw from this many of the likeliest tokens; 0 draws from all.")
    min_p: float | None = option(None, ge=0, le=1, help="Draw from tokens of at least this share of the likeliest's.")
    seed: int | None = option(None, ge=0, lt=2**32, help="Seed of the draws; the run's own by default.")
    num_beams: int | None = option(None, gt=0, help="Beams of a beam search; 1 searches greedily.")
    num_return_sequences: int | None = option(None, gt=0, help="Texts to generate for each prompt.")
    length_penalty: float | None = option(None, help="Beam search: above 0 favours longer texts.")
    early_stopping: bool | None = option(None, help="Beam search: stop once there are as many whole texts as beams.")
    repetition_penalty: float | None = option(None, gt=0, help="Above 1, tokens that have come already come less.")
    no_repeat_ngram_size: int | None = option(None, ge=0, help="No run of this many tokens comes twice.")
    stop_strings: list[str] | None = option(None, min_length=1, help="Stop once one of these has been generated.")

    @model_validator(mode="after")
    def _mean_something(self) -> Self:
        asked = [name for name in SAMPLING if getattr(self, name) is not None]
        if asked and not self.do_sample:
            raise ValueError(f"{asked[0]} says how tokens are drawn; give do_sample=true beside it")
        if self.min_new_tokens is not None and self.min_new_tokens > self.max_new_tokens:
            raise ValueError(f"min_new_tokens is {self.min_new_tokens}, more than max_new_tokens={self.max_new_tokens}")
        of_beams = [name for name in ("length_penalty", "early_stopping") if getattr(self, name) is not None]
        if of_beams and (self.num_beams or 1) == 1:
            raise ValueError(f"{of_beams[0]} is for a beam search; give num_beams above 1 beside it")
        texts = self.num_return_sequences or 1
        if texts > 1 and not self.do_sample and texts > (self.num_beams or 1):
            raise ValueError(f"num_return_sequences={texts} needs do_sample=true, or as many beams (num_beams)")
        return self

    def arguments(self) -> dict[str, Any]:
        """What ``generate`` is given."""
        return self.model_dump(exclude_none=True, exclude={"seed"})
