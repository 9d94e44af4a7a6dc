"""The attentions and feed-forwards of a model's transformer blocks, found by how the model is built."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from adapt_core.bundles import Hints
from adapt_core.errors import AdaptError
from adapt_core.models.layers import is_attention, is_linear, why_not_called
from adapt_core.peft.bottleneck.layer import widths

HINT = "Name the layers that are to get an adapter in method.target_modules."


@dataclass(frozen=True)
class Sublayer:
    """An attention or a feed-forward, by dotted names in the model.

    Attributes:
        input: the module whose first argument it reads.
        output: its last linear layer.
    """

    input: str
    output: str


@dataclass(frozen=True)
class Block:
    """A transformer block.

    Attributes:
        attentions: to itself and, in a decoder, to the encoder, in the order of the model.
        feed_forward: its two linear layers, or three where it is gated.
    """

    attentions: tuple[Sublayer, ...]
    feed_forward: Sublayer

    @property
    def sublayers(self) -> list[Sublayer]:
        """All of them."""
        return [*self.attentions, self.feed_forward]


def transformer_blocks(module: nn.Module, hints: Hints) -> list[Block]:
    """The transformer blocks of a model, outside its head.

    A block is an entry of a list of modules that has linear layers inside an attention, told by the name of its class,
    and outside. Of nested entries it is the innermost. Those outside are the feed-forward's two or three; the last of
    them, and of each attention, is as wide as what the first reads.

    Raises:
        AdaptError: there are none, or one is built in another way, so that an adapter could be put in a wrong place.
    """
    found: dict[str, tuple[dict[str, list[str]], list[str]]] = {}
    for name in _entries(module):
        attentions, others = _parts(module, name)
        if attentions and others and not hints.holds(name):
            found[name] = attentions, others
    blocks = [name for name in found if not any(other.startswith(f"{name}.") for other in found)]
    if not blocks:
        raise AdaptError(
            f"{type(module).__name__} has no transformer blocks with linear layers in both attention and feed-forward",
            HINT,
        )
    return [_block(module, name, *found[name]) for name in blocks]


def _entries(module: nn.Module) -> Iterator[str]:
    """The dotted names of all entries of lists of modules."""
    for name, entries in module.named_modules():
        if isinstance(entries, nn.ModuleList | nn.Sequential):
            yield from (f"{name}.{key}" if name else key for key, _ in entries.named_children())


def _parts(module: nn.Module, entry: str) -> tuple[dict[str, list[str]], list[str]]:
    """The linear layers of an entry: those in attentions, by the outermost module of each, and the others."""
    attentions: dict[str, list[str]] = {}
    others: list[str] = []
    for name, layer in module.get_submodule(entry).named_modules(prefix=entry):
        if is_linear(layer) and name != entry:
            around = _attentions_around(module, name, entry)
            parent = module.get_submodule(name.rpartition(".")[0])
            if why_not_called(module.get_submodule(name), parent):
                continue
            if around:
                attentions.setdefault(around[0], []).append(name)
            else:
                others.append(name)
    return attentions, others


def _attentions_around(module: nn.Module, layer: str, entry: str) -> list[str]:
    """The dotted names of the attentions that a layer is in, inside an entry, the outermost first."""
    parts = layer.split(".")
    names = [".".join(parts[:end]) for end in range(entry.count(".") + 2, len(parts))]
    return [name for name in names if is_attention(module.get_submodule(name))]


def _block(module: nn.Module, name: str, attentions: dict[str, list[str]], others: Sequence[str]) -> Block:
    classes = {type(each).__name__.lower() for each in module.get_submodule(name).modules()}
    if any("moe" in each or "expert" in each for each in classes):
        raise AdaptError(f"{name} belongs to a mixture of experts, which has no one feed-forward", HINT)
    if len(others) not in (2, 3):
        raise AdaptError(
            f"{name} has {len(others)} linear layers outside its attention ({', '.join(others)}); a feed-forward has "
            "two, or three where it is gated",
            HINT,
        )
    width = widths(module.get_submodule(others[0]))[0]
    return Block(
        # The innermost attention: one around it may normalise first (T5). Its own first argument, since the first of
        # its layers may read an encoder (BART).
        tuple(
            Sublayer(_attentions_around(module, layers[0], name)[-1], _last(module, layers, width))
            for layers in attentions.values()
        ),
        Sublayer(others[0], _last(module, others[1:], width)),
    )


def _last(module: nn.Module, layers: Sequence[str], width: int) -> str:
    """The layer of a sublayer that is called last: as wide as the residual connection, though not always named last."""
    fitting = [each for each in layers if widths(module.get_submodule(each))[1] == width]
    if layers[-1] in fitting or len(fitting) == 1:
        return fitting[-1]
    raise AdaptError(
        f"which of {', '.join(layers)} comes last cannot be told: {len(fitting) or 'none'} of them give {width} "
        "features, the width of the block",
        HINT,
    )
