"""Settings of a model that keep it from learning, as some are published with."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

LARGE = 0.9


def oddities(module: nn.Module) -> Iterator[str]:
    """What a person should know of dropout that drops nearly all, and of batch normalisation that remembers nothing.

    transformers' MobileNetV1 has both: a dropout of 0.999 before its head, where TensorFlow's 0.999 is the share that
    is kept, and a momentum of 0.9997, where TensorFlow's is the share that is remembered.
    """
    dropped = {name: each.p for name, each in module.named_modules() if isinstance(each, nn.Dropout) and each.p > LARGE}
    for name, share in dropped.items():
        yield (
            f"{name} drops {share:.1%} of what it reads in training, so that what stands behind it hardly learns. It "
            "is the model's own setting (classifier_dropout_prob in the config.json of MobileNets); a copy of the "
            "folder with a smaller one learns better."
        )
    norms = [each for each in module.modules() if isinstance(each, nn.BatchNorm2d)]
    remembered = [each.momentum for each in norms if each.momentum is not None and each.momentum > LARGE]
    if remembered:
        yield (
            f"{len(remembered)} layers of batch normalisation have a momentum of {max(remembered)}: where they are "
            "trained, their statistics are those of the last batch, and evaluations are unsure. Methods that freeze "
            "them (last_layer, lora, …) keep the pretrained ones."
        )
