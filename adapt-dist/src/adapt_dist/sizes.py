"""What training takes on each GPU: weights, gradients and the optimizer's state, by model, method and GPUs.

The closed form is that of ZeRO (Rajbhandari et al. 2020, arXiv:1910.02054, section 3): with AdamW in float32, a trained
parameter takes 4 bytes for its value, 4 for its gradient and 8 for the optimizer, and a frozen one 4; with FSDP these
are divided by the number of processes. Of a base in 4 bits its codes are divided, and each process has all scales.
Beside them are the parameters that are gathered at a time. Activations are left out: they grow with the batch and the
length of rows, and shrink with ``training.gradient_checkpointing``.
"""

from __future__ import annotations

from dataclasses import dataclass

VALUE, GRADIENT, ADAM = 4, 4, 8
"""Bytes of a parameter in float32, of its gradient, and of AdamW's two moments."""

CODE, SCALE = 0.5, 4 / 64
"""Bytes of a weight in 4 bits: its code, and its share of a float32 scale for each block of 64."""


@dataclass(frozen=True)
class Shape:
    """A causal language model of Llama's kind.

    Attributes:
        name: for people.
        layers: how many.
        width: of the hidden states.
        inner: width of the feed-forward layers.
        keys: width of the keys and values of all heads.
        words: of the vocabulary.
        tied: whether the output layer is the embedding.
    """

    name: str
    layers: int
    width: int
    inner: int
    keys: int
    words: int
    tied: bool

    @property
    def linear(self) -> tuple[tuple[int, int], ...]:
        """Inputs and outputs of the linear layers in a block."""
        width, inner, keys = self.width, self.inner, self.keys
        return (
            (width, width), (width, keys), (width, keys), (width, width),
            (width, inner), (width, inner), (inner, width),
        )  # fmt: skip

    @property
    def linear_parameters(self) -> int:
        """Parameters of the linear layers in a block."""
        return sum(ins * outs for ins, outs in self.linear)

    @property
    def block(self) -> int:
        """Parameters of a block: its linear layers and two norms."""
        return self.linear_parameters + 2 * self.width

    @property
    def embedding(self) -> int:
        """Parameters of the embedding, or of the output layer."""
        return self.words * self.width

    @property
    def parameters(self) -> int:
        """All parameters."""
        return self.layers * self.block + self.embedding * (1 if self.tied else 2) + self.width

    def lora(self, rank: int) -> int:
        """Parameters of LoRA on every linear layer of the blocks."""
        return self.layers * sum(rank * (ins + outs) for ins, outs in self.linear)


SHAPES = (
    Shape("Llama 3.2 1B", 16, 2048, 8192, 512, 128_256, tied=True),
    Shape("Llama 3.1 8B", 32, 4096, 14_336, 1024, 128_256, tied=False),
    Shape("Llama 3.1 70B", 80, 8192, 28_672, 1024, 128_256, tied=False),
)

RANK = 16


@dataclass(frozen=True)
class Way:
    """A method with a launcher.

    Attributes:
        name: as a configuration says it.
        method: ``"full"``, ``"lora"`` or ``"qlora"``.
        sharded: whether the launcher is FSDP.
    """

    name: str
    method: str
    sharded: bool


WAYS = (
    Way("full, ddp", "full", sharded=False),
    Way("full, fsdp", "full", sharded=True),
    Way("lora, ddp", "lora", sharded=False),
    Way("lora, fsdp", "lora", sharded=True),
    Way("lora on 4 bits, ddp", "qlora", sharded=False),
    Way("lora on 4 bits, fsdp", "qlora", sharded=True),
)


def training_bytes(shape: Shape, way: Way, processes: int) -> int:
    """What weights, gradients and the optimizer's state take in each process, gathered parameters included.

    Args:
        shape: of the model.
        way: how it is trained.
        processes: how many.
    """
    trained = shape.parameters if way.method == "full" else shape.lora(RANK)
    frozen = 0 if way.method == "full" else shape.parameters
    in_bits = shape.layers * shape.linear_parameters if way.method == "qlora" else 0
    state = CODE * in_bits + VALUE * (frozen - in_bits) + (VALUE + GRADIENT + ADAM) * trained
    if not way.sharded or processes == 1:
        return round(state + SCALE * in_bits)
    return round(state / processes + SCALE * in_bits + gathered_bytes(shape, in_4_bits=way.method == "qlora"))


def gathered_bytes(shape: Shape, *, in_4_bits: bool = False) -> float:
    """What FSDP gathers at a time: the block that computes, the next one, and the embedding or output layer."""
    linear = shape.linear_parameters
    block = (CODE if in_4_bits else VALUE) * linear + VALUE * (shape.block - linear)
    return 2 * block + VALUE * shape.embedding


def table(processes: tuple[int, ...] = (1, 2, 4, 8, 16, 32), shapes: tuple[Shape, ...] = SHAPES) -> str:
    """A Markdown table: GB (10⁹ bytes) on each GPU, without activations."""
    head = ["model", "method, launcher", *(f"{each} GPU{'s' if each > 1 else ''}" for each in processes)]
    rows = [head, ["---", "---", *["---:"] * len(processes)]]
    for shape in shapes:
        for way in WAYS:
            sizes = [f"{training_bytes(shape, way, each) / 1e9:.1f}" for each in processes]
            rows.append([f"{shape.name} ({shape.parameters / 1e9:.2f} B)", way.name, *sizes])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
