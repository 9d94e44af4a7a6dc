"""What ``accelerate launch --mixed_precision`` asks for is what the configuration says."""

from __future__ import annotations

import pytest

from adapt_core.engines.common.precision import require_asked_precision
from adapt_core.engines.trainer.options import TrainerOptions
from adapt_core.errors import AdaptError


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("bf16", "Set training.bf16, or start with --mixed_precision no."),
        ("fp8", "Start with --mixed_precision no."),
    ],
)
def test_another_precision_is_refused(asked: str, hint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", asked)
    with pytest.raises(AdaptError, match=f"accelerate launch asks for {asked}") as caught:
        require_asked_precision(TrainerOptions())
    assert caught.value.hint == hint


@pytest.mark.parametrize("asked", ["no", "bf16"])
def test_the_same_precision_and_none_are_accepted(asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", asked)
    require_asked_precision(TrainerOptions(bf16=True))
