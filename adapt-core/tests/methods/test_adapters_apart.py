"""Adapters that would share what they have changed are refused, and the loaded model is as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy_runs import finished, outputs

import adapt_core
from adapt_core import AdaptError

pytestmark = pytest.mark.usefixtures("no_reload")
QUERY = {"name": "lora", "target_modules": ["query"]}
POOLER = {**QUERY, "modules_to_save": ["pooler"]}
TOKENS = {**QUERY, "trainable_token_indices": [60, 70]}
EMBEDDING = {"name": "lora", "target_modules": ["word_embeddings"]}
BIASES = "biases of the base, which both would have"


def state(module: torch.nn.Module) -> Any:
    """All that could have changed, in values that compare."""
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return (
        [(name, type(layer)) for name, layer in module.named_modules()],
        {name: (id(each), each.requires_grad, each.tolist()) for name, each in tensors.items()},
        list(module.peft_config),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        (QUERY, {**QUERY, "bias": "all"}, rf"second\S* cannot .*: it has changed {BIASES} \(bias: all\)"),
        ({**QUERY, "bias": "lora_only"}, QUERY, rf": the loaded one has changed {BIASES} \(bias: lora_only\)"),
        (
            {"name": "adalora", "bias": "all", "tinit": 1, "tfinal": 1},
            {"name": "adalora", "tinit": 1, "tfinal": 1},
            BIASES,
        ),
        ({"name": "vera"}, {"name": "vera", "bias": "vera_only"}, BIASES),
        (
            {"name": "lora"},
            POOLER,
            r"adapts bert.pooler.dense \(target_modules\), and it trains bert.pooler whole \(modules_to_save\)",
        ),
        (
            POOLER,
            {"name": "lora"},
            r"the loaded one trains bert.pooler whole \(modules_to_save\), and it adapts bert.pooler.d",
        ),
        (
            {"name": "ssf"},
            {"name": "ssf", "operations": ["layer_norm"], "modules_to_save": ["pooler"]},
            "modules_to_save",
        ),
        (POOLER, {**QUERY, "modules_to_save": ["pooler.dense"]}, r"pooler whole .* trains bert.pooler.dense whole"),
        (TOKENS, QUERY, r"\(trainable_token_indices\), and it does not.*\nLoad this one first and add the other"),
        (TOKENS, EMBEDDING, r"trains rows of \S*word_embeddings \(trainable_token_indices\), and it adapts"),
        (EMBEDDING, TOKENS, r"adapts \S*word_embeddings \(target_modules\), and it trains rows"),
        ({**QUERY, "modules_to_save": ["word_embeddings"]}, TOKENS, r"whole \(modules_to_save\), and it trains rows"),
        # What PEFT refuses half-way.
        ({"name": "vera", "target_modules": ["query"]}, {"name": "vera"}, "does not fit beside the loaded adapter"),
        (
            {"name": "vera"},
            {"name": "vera", "projection_prng_key": 7},
            "ValueError: Vera PRNG initialisation key must be",
        ),
    ],
)
def test_what_cannot_be_kept_apart_is_refused(
    toy_config: Any, tmp_path: Path, first: Any, second: Any, reason: str
) -> None:
    run = adapt_core.load_run(finished(toy_config, tmp_path / "first", method=first, seed=1))
    before, answers = state(run.model.module), outputs(run)
    with pytest.raises(AdaptError, match=rf"(?s){reason}.*with load_run"):
        run.add(finished(toy_config, tmp_path / "second", method=second, seed=2))
    assert state(run.model.module) == before
    assert np.array_equal(outputs(run), answers)
    if "bias" not in first:
        again = run.add(run.folder)
        assert np.array_equal(outputs(again), answers) and np.array_equal(outputs(run), answers)


def test_whatever_peft_raises_has_a_remedy_and_changes_nothing(
    toy_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peft import PeftModel

    run = adapt_core.load_run(finished(toy_config, tmp_path / "first"))
    second = finished(toy_config, tmp_path / "second", seed=2)
    before = state(run.model.module)

    def fails(error: type[Exception]) -> Any:
        def load(*_: Any, **__: Any) -> None:
            raise error("some.layer")

        return load

    for error in (KeyError, AttributeError):
        monkeypatch.setattr(PeftModel, "load_adapter", fails(error))
        with pytest.raises(
            AdaptError, match=rf"second\S* does not fit .*: {error.__name__}: .*some.layer.*\nLoad it by itself"
        ):
            run.add(second)
        assert state(run.model.module) == before
    monkeypatch.setattr(PeftModel, "load_adapter", fails(torch.OutOfMemoryError))
    with pytest.raises(torch.OutOfMemoryError):
        run.add(second)
    assert state(run.model.module) == before


def test_one_that_trained_the_head_and_one_that_did_not(toy_config: Any, toy: dict[str, Any], tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    base = tmp_path / "with-a-head"
    AutoModelForSequenceClassification.from_pretrained(toy["model"]["path"]).save_pretrained(base)
    folders = [
        finished(
            toy_config, tmp_path / str(trained), model={"path": str(base)}, method={**QUERY, "train_head": trained}
        )
        for trained in (True, False)
    ]
    alone = [outputs(adapt_core.load_run(folder)) for folder in folders]
    for order in ((0, 1), (1, 0)):
        run = adapt_core.load_run(folders[order[0]])
        other = run.add(folders[order[1]])
        for _ in range(2):
            assert outputs(run) == pytest.approx(alone[order[0]], abs=1e-6)
            assert outputs(other) == pytest.approx(alone[order[1]], abs=1e-6)


ROWS = {"token_indices": [3, 4]}


@pytest.mark.parametrize(
    ("model", "method", "first", "second", "reason"),
    [
        # PEFT saves the base's own output layer with an adapter of it, ...
        ("causal_lm", "lora", {}, {"target_modules": ["lm_head"]}, ""),
        # ... has a tied one compute with the new one's rows at once, ...
        ("tied_lm", "lora", {}, {"trainable_token_indices": [3, 4]}, ""),
        # ... and puts a layer of rows on a layer of rows.
        ("tied_lm", "trainable_tokens", ROWS, ROWS, r"tied to the output layer, .* \(token_indices\)"),
        ("causal_lm", "trainable_tokens", ROWS, ROWS, ""),
    ],
)
def test_embeddings_and_output_layers(
    tmp_path: Path, model: str, method: str, first: Any, second: Any, reason: str
) -> None:
    from adapt_core.bundles import Hints
    from adapt_core.config.validate import validate_options
    from adapt_core.kinds import Kind
    from adapt_core.plugins.registry import Registry
    from adapt_core.testing import MODELS
    from adapt_core.testing.promises import outputs_of

    tiny, registry = MODELS[model], Registry.load()
    entry = registry.get(Kind.METHOD, method)
    folders = [tmp_path / "first", tmp_path / "second"]
    for seed, options in enumerate((first, second)):
        made: Any = registry.load_target(entry)(validate_options(registry.options(entry.spec), options, method))
        adapted = made.apply(tiny.seeded(), Hints(peft_task="CAUSAL_LM"))
        torch.manual_seed(seed)
        with torch.no_grad():
            for each in adapted.parameters():
                each.add_(torch.randn_like(each) * each.requires_grad)
        made.save(adapted, folders[seed])
    alone = [outputs_of(tiny, made.load(tiny.seeded(), folder, Hints())) for folder in folders]
    module = made.load(tiny.seeded(), folders[0], Hints())
    if reason:
        before = state(module)
        with pytest.raises(AdaptError, match=reason):
            made.add(module, folders[1])
        assert state(module) == before
        return
    name = made.add(module, folders[1])
    for _ in range(2):
        made.use(module, None)
        assert torch.allclose(outputs_of(tiny, module), alone[0], atol=1e-5)
        made.use(module, name)
        assert torch.allclose(outputs_of(tiny, module), alone[1], atol=1e-5)
