"""EVA's start against an SVD of activations in NumPy, and a whole run that begins with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import adapt_core
from adapt_core import AdaptError, ConfigError, Interrupted, apply_method
from adapt_core.errors import UsageError
from adapt_core.testing import MODELS, Tiny

R, RHO = 4, 2.0
EVA = {"init_lora_weights": "eva", "r": R, "dropout": 0.0}
PREFIX = "base_model.model."


def updates(module: nn.Module) -> dict[str, Any]:
    """The layers with an update, by their name in the base model."""
    named = module.named_modules()
    return {name.removeprefix(PREFIX): layer for name, layer in named if hasattr(layer, "lora_A")}


def principal(module: nn.Module, batches: list[dict[str, Tensor]], keep: Callable[[Tensor], Tensor]) -> dict[str, Any]:
    """Directions and shares of variance of every linear layer's inputs, in float64.

    Args:
        module: the base model.
        batches: what it is called with.
        keep: picks the rows out of a layer's input.
    """
    seen: dict[str, list[np.ndarray]] = {}
    handles = [
        layer.register_forward_pre_hook(
            lambda _, inputs, name=name: seen.setdefault(name, []).append(keep(inputs[0]).double().numpy())
        )
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Linear)
    ]
    with torch.no_grad():
        for batch in batches:
            module(**batch)
    for handle in handles:
        handle.remove()
    found = {}
    for name, parts in seen.items():
        states = np.concatenate(parts)
        _, singular, directions = np.linalg.svd(states - states.mean(0), full_matrices=False)
        found[name] = (directions, singular**2 / (singular**2).sum())
    return found


def everything(states: Tensor) -> Tensor:
    return states.reshape(-1, states.shape[-1])


def test_a_direction_that_changes_its_sign_settles() -> None:
    """Its two largest numbers are about as large, and which is larger changes with every batch, as does PEFT's sign."""
    given = 0
    signs = torch.tensor([1.0, -1.0] * 8)[:, None]

    class Batches:
        def __iter__(self) -> Any:
            nonlocal given
            for number in range(60):
                given += 1
                larger = torch.tensor([1.1, -1.0, 0.0, 0.0]) if number % 2 else torch.tensor([1.0, -1.1, 0.0, 0.0])
                rows = (signs * larger)[: 8 if number == 1 else 16]
                yield {"input": rows + 0.001 * torch.eye(4)[2] * torch.arange(len(rows))[:, None].cos()}

    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    options = {"init_lora_weights": "eva", "r": 1, "eva_rho": 1.0, "target_modules": ["0"], "dropout": 0.0}
    adapted = apply_method(module, "lora", batches=Batches(), train_head=False, **options)
    down = updates(adapted)["0"].lora_A["default"].weight.detach().abs()
    assert down[0] == pytest.approx(torch.tensor([0.5**0.5, 0.5**0.5, 0.0, 0.0]), abs=0.05)
    assert given < 10


def test_the_update_starts_with_the_directions_of_most_variance() -> None:
    tiny = MODELS["causal_lm"]
    expected = principal(tiny.seeded(), [tiny.batch()], everything)
    module = apply_method(tiny.seeded(), "lora", batches=[tiny.batch()], **EVA)
    found = updates(module)
    assert len(found) == 14
    for name, layer in found.items():
        down = layer.lora_A["default"].weight.detach().double().numpy()
        directions, shares = expected[name]
        cosines = np.abs((down * directions[: len(down)]).sum(1))
        apart = np.append(-np.diff(shares[: len(down) + 1]), 1)  # two directions of one variance may be any mixture
        clear = (apart[:-1] > 0.01 * shares[: len(down)]) & (np.append(1, apart[:-2]) > 0.01 * shares[: len(down)])
        assert clear.any()
        assert (cosines[clear] > 0.99).all(), (name, cosines)
        assert not layer.lora_B["default"].weight.any()
        assert layer.scaling["default"] == pytest.approx(16 / R)  # the scaling of r, whatever the rank


def test_ranks_go_to_the_directions_that_explain_most() -> None:
    tiny = MODELS["causal_lm"]
    expected = principal(tiny.seeded(), [tiny.batch()], everything)
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    shares = {name: each[1] for name, each in expected.items() if name.rsplit(".", 1)[-1] in targets}
    found = updates(apply_method(tiny.seeded(), "lora", batches=[tiny.batch()], **EVA))
    ranks = {name: found[name].r["default"] if name in found else 0 for name in shares}
    assert sum(ranks.values()) == R * len(shares)
    assert len(set(ranks.values())) > 1 and max(ranks.values()) <= R * RHO
    chosen = min(shares[name][rank - 1] for name, rank in ranks.items() if rank)
    passed_over = max(shares[name][rank] for name, rank in ranks.items() if rank < R * RHO)
    assert chosen > passed_over - 1e-3


def test_without_redistribution_every_layer_keeps_its_rank() -> None:
    tiny = MODELS["encoder"]
    module = apply_method(tiny.seeded(), "lora", batches=[tiny.batch()], **EVA, eva_rho=1.0)
    assert {layer.r["default"] for layer in updates(module).values()} == {R}


def test_padding_is_not_looked_at() -> None:
    tiny = MODELS["encoder"]
    batch = tiny.batch()
    batch["attention_mask"][:, 6:] = 0
    expected = principal(
        tiny.seeded(), [batch], lambda states: everything(states[:, :6]) if states.dim() == 3 else states
    )
    module = apply_method(tiny.seeded(), "lora", batches=[batch], **EVA, eva_rho=1.0)
    layer = updates(module)["bert.encoder.layer.0.intermediate.dense"]
    first = layer.lora_A["default"].weight[0].detach().double().numpy()
    assert abs(first @ expected["bert.encoder.layer.0.intermediate.dense"][0][0]) > 0.999
    # It makes a difference.
    padded = principal(tiny.seeded(), [batch], everything)
    assert abs(first @ padded["bert.encoder.layer.0.intermediate.dense"][0][0]) < 0.999


def test_a_layer_with_one_input_a_row_waits_for_enough_of_them() -> None:
    """The pooler sees two vectors a batch; four batches make one step."""
    tiny = MODELS["encoder"]
    whole = tiny.batch()
    small = [{name: each[start : start + 2] for name, each in whole.items()} for start in range(0, 8, 2)]
    expected = principal(tiny.seeded(), small, everything)["bert.pooler.dense"][0]
    module = apply_method(tiny.seeded(), "lora", batches=small, **EVA, eva_rho=1.0)
    down = updates(module)["bert.pooler.dense"].lora_A["default"].weight.detach().double().numpy()
    assert down @ down.T == pytest.approx(np.eye(R), abs=1e-4)
    assert np.linalg.norm(down[:2] @ expected[:4].T, axis=1) == pytest.approx(1, abs=0.05)


def test_what_cannot_work_is_refused() -> None:
    convolutional, encoder = MODELS["convolutional"], MODELS["encoder"]

    def start(tiny: Tiny, **options: Any) -> None:
        apply_method(tiny.seeded(), "lora", batches=[tiny.batch()], **{**EVA, **options})

    with pytest.raises(
        AdaptError,
        match=r"no layer of the preset 'conv' that the method adapts, which are Linear, Conv1D; .* is a Conv2d",
    ):
        start(convolutional, target_modules="conv")
    with pytest.raises(AdaptError, match=r"looks for r times eva_rho = 80 directions among .*query, which has 64"):
        start(encoder, r=40)
    with pytest.raises(ConfigError, match="eva starts the updates of linear layers; remove lora_bias"):
        start(encoder, lora_bias=True)
    with pytest.raises(ConfigError, match="eva_tau belongs to init_lora_weights=eva"):
        start(encoder, init_lora_weights=True, eva_tau=0.5)
    with pytest.raises(UsageError, match="lora with these options needs batches="):
        apply_method(encoder.seeded(), "lora", **EVA)
    with pytest.raises(UsageError, match="lora with these options does not look at data"):
        apply_method(encoder.seeded(), "lora", batches=[encoder.batch()])


def test_directions_that_never_settle_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapt_core.methods.lora.eva.LIMIT", 5)
    tiny = MODELS["encoder"]
    with pytest.raises(AdaptError, match="have not settled after 5 batches"):
        apply_method(tiny.seeded(), "lora", batches=[{n: e[:1] for n, e in tiny.batch().items()}], **EVA)


def test_batches_that_run_out_are_refused() -> None:
    tiny = MODELS["encoder"]
    few = ({name: each[:1] for name, each in tiny.batch().items()} for _ in range(2))
    with pytest.raises(AdaptError, match="ran out of batches"):
        apply_method(tiny.seeded(), "lora", batches=few, **EVA)


def test_the_update_of_a_base_in_half_precision_is_trained_in_float32() -> None:
    tiny = MODELS["encoder"]
    adapted = apply_method(tiny.seeded().bfloat16(), "lora", batches=[tiny.batch()], **EVA)
    dtypes = {each.dtype for name, each in adapted.named_parameters() if "lora_" in name}
    assert dtypes == {torch.float32}


# ---- a whole run --------------------------------------------------------------------------------------------------

METHOD = {"name": "lora", "init_lora_weights": "eva", "r": 3}
TRAINING = {"batch_size": 16, "interval": "steps", "interval_steps": 4}


def weights(run: Any) -> bytes:
    return (Path(run) / "model" / "adapter_model.safetensors").read_bytes()


def test_a_run_saves_what_plain_peft_loads_and_merges(toy_config: Any) -> None:
    """In a new process, since nothing here stops the reload; the export is merged."""
    config = toy_config(method=METHOD, training=TRAINING, save="safetensors")
    result = adapt_core.run(config)
    assert result["reload_difference"]["model"] < 1e-5
    run = adapt_core.load_run(config["output_dir"])
    ranks = {name: layer.r["default"] for name, layer in updates(run.model.module).items()}
    assert sum(ranks.values()) == 13 * 3 and len(set(ranks.values())) > 1
    trained = sum(
        rank * (layer.in_features + layer.out_features)
        for (_, layer), rank in zip(updates(run.model.module).items(), ranks.values(), strict=True)
    )
    assert result["parameters"]["trainable"] == trained + 2 * 16 + 2  # and the head
    page = (Path(config["output_dir"]) / "report.html").read_text()
    assert "Ranks" in page and "bert.encoder.layer.0.attention.self.query" in page


@pytest.mark.usefixtures("no_reload")
def test_a_resumed_run_ends_as_one_that_was_never_interrupted(
    toy_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from adapt_core.methods.lora.eva import Eva

    whole = toy_config(method=METHOD, training=TRAINING, output_dir=str(tmp_path / "whole"))
    expected = adapt_core.run(whole)
    config = toy_config(method=METHOD, training=TRAINING)

    def interrupted(self: Any, module: Any, step: int) -> None:
        if step == 10:  # the checkpoint is that of step 8
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Eva, "after_step", interrupted, raising=False)
        with pytest.raises(Interrupted, match="the state of step 8 is saved"):
            adapt_core.run(config)
    with monkeypatch.context() as patch:
        patch.setattr(Eva, "calibrate", None)  # is not called
        result = adapt_core.run(config, resume=True)
    assert result["metrics"] == expected["metrics"]
    assert result["parameters"] == expected["parameters"]
    assert weights(config["output_dir"]) == weights(whole["output_dir"])


@pytest.mark.usefixtures("no_reload")
def test_calibration_sees_training_batches_and_training_does_not_see_it(
    toy_config: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A method that looks at data and draws random numbers, and one that does not, end with the same weights."""
    from adapt_core.methods.lora.method import Lora

    plain = toy_config(training=TRAINING, output_dir=str(tmp_path / "plain"))
    adapt_core.run(plain)
    looked: list[Tensor] = []
    trained: list[Tensor] = []

    def calibrate(self: Any, module: nn.Module, batches: Any) -> None:
        for _ in range(2):  # every iteration begins anew
            looked[:] = [batch["input_ids"] for batch, _ in zip(batches, range(3), strict=False)]
        torch.rand(5), np.random.rand(5)

        def note(_: Any, args: Any, kwargs: dict[str, Any]) -> None:
            trained.append(kwargs["input_ids"])

        module.register_forward_pre_hook(note, with_kwargs=True)

    monkeypatch.setattr(Lora, "calibrate", calibrate, raising=False)
    config = toy_config(training=TRAINING)
    adapt_core.run(config)
    assert weights(config["output_dir"]) == weights(plain["output_dir"])
    assert len(looked) == 3 and all(torch.equal(*pair) for pair in zip(looked, trained, strict=False))


@pytest.mark.usefixtures("no_reload")
def test_an_evaluation_alone_does_not_calibrate(toy_config: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from adapt_core.methods.lora.eva import Eva

    monkeypatch.setattr(Eva, "calibrate", None)
    result = adapt_core.run(toy_config(method=METHOD, training={"do_train": False}))
    assert result["status"] == "completed" and result["steps"] == 0
