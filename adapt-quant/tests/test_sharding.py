"""What 4-bit layers need to be sharded, and what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
from quantized_models import quantized

import adapt_core
from adapt_core.errors import AdaptError
from adapt_core.testing import MODELS


def test_a_trained_bias_of_a_4_bit_layer_is_refused_where_it_would_be_sharded(tmp_path: Path) -> None:
    """bitsandbytes would bring it to float16 in the first step, and FSDP reduces gradients of one type."""
    base, using = quantized(MODELS["encoder"].seeded(), tmp_path, "bnb_4bit")
    adapted = adapt_core.apply_method(base, "lora", bias="all")
    with pytest.raises(AdaptError, match=r"The bias of \S*query\.base_layer would be trained.* cannot shard") as error:
        using.before_sharding(adapted)
    assert error.value.hint is not None and "method.bias: none" in error.value.hint
