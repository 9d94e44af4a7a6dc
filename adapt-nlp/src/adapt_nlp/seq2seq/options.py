"""Options of tasks that write a text out of a text. Imports nothing heavy: it is loaded to check a configuration."""

from __future__ import annotations

from typing import Literal

from adapt_core.errors import UsageError
from adapt_core.options import Options, option
from adapt_nlp.generation_options import GenerationOptions

EvalMetric = Literal["rouge", "bleu", "chrf", "sacrebleu"]


class Seq2SeqOptions(Options):
    """How texts become the model's input, what it writes, and how that is measured."""

    max_input_length: int = option(
        512, flat="max_input_length", gt=1, help="Longest input in tokens, its prefix among them; longer ones are cut."
    )
    max_target_length: int = option(
        128, flat="max_target_length", gt=1, help="Longest target in tokens, longer ones are cut."
    )
    eval_metric: EvalMetric = option(
        "rouge",
        flat="eval_metric",
        help="What is measured of generated texts: rouge (1, 2, L and Lsum), bleu, chrf, or sacrebleu (BLEU and chrF).",
    )
    generation_max_length: int = option(
        128, flat="generation_max_length", gt=0, help="Most tokens to generate, in evaluation and in prediction."
    )
    prefix: str = option(
        "",
        flat="PREFIX",
        help="Text before each input, for models that tell tasks apart by it ('summarize: ' and the like of T5); what "
        "a causal model is told to do.",
    )
    source_lang: str | None = option(
        None, flat="source_lang", min_length=1, help="Language of the inputs, as the tokenizer calls it."
    )
    target_lang: str | None = option(
        None, flat="target_lang", min_length=1, help="Language to write; by default that of the inputs."
    )


class Seq2SeqGeneration(GenerationOptions):
    """How text is generated. What is not given is as in the run's evaluation: by the model's generation_config.json."""

    max_new_tokens: int = option(128, gt=0, help="Most tokens to generate; by default task.generation_max_length.")

    def asked_or(self, longest: int) -> GenerationOptions:
        """The same, with ``longest`` for the number of tokens where none was given.

        Raises:
            UsageError: more tokens than that are asked for.
        """
        if "max_new_tokens" in self.model_fields_set:
            return self
        if (self.min_new_tokens or 0) > longest:
            raise UsageError(
                f"min_new_tokens is {self.min_new_tokens}, more than the run's generation_max_length={longest}.",
                "Give max_new_tokens beside it.",
            )
        return self.model_copy(update={"max_new_tokens": longest})
