"""Plugins of every kind that exist only to be configured, in a registry of their own."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import model_validator

from adapt_core.config.sections import DatasetOptions
from adapt_core.kinds import (
    EngineSpec,
    Kind,
    LauncherSpec,
    Library,
    MethodSpec,
    PluginSpec,
    QuantizerSpec,
    SaverSpec,
    TaskSpec,
)
from adapt_core.options import Options, option
from adapt_core.plugins.catalogue import Listing
from adapt_core.plugins.registry import Entry, Registry

TRAINING = "adapt_core.engines.trainer.options:TrainerOptions"
ENGINE = EngineSpec(name="first", target="fake_plugins:First", training=TRAINING, parallel=("replicated",))
OTHER_ENGINE = EngineSpec(name="second", target="fake_plugins:Second", training=TRAINING)


class ReadData(DatasetOptions):
    text_column: str | None = option(None, flat="TEXT_COLUMN", help="Column of the text.")
    names: dict[int, str] | dict[str, str] | None = option(None, help="Names of the labels.")


class LookData(DatasetOptions):
    train_ann_file: str = option("train.json", flat="train_ann_file", help="Annotations.")


class Window(Options):
    start: int = option(0, help="First epoch.")
    end: int = option(50, help="Last epoch.")


class LookOptions(Options):
    window: Window = option(Window(), help="When it applies.")
    size: int = option(..., flat="size", gt=0, help="Edge of the image in pixels.")


class RankOptions(Options):
    r: int = option(8, flat="r", gt=0, help="Rank.")
    alpha: float = option(16, flat="alpha", gt=0, help="Scale.")
    modules: list[str] | str | None = option(None, flat="target_modules", help="Layers.")
    init: bool | Literal["gaussian"] = option(True, help="Start.")


class HeadOptions(Options):
    blocks: int = option(0, flat="last_layer", ge=0, help="Blocks trained beside the head.")


class FourBitOptions(Options):
    kind: Literal["nf4", "fp4"] = option("nf4", flat="bnb_4bit_quant_type", help="Data type.")


class NodesOptions(Options):
    nodes: int = option(1, flat="num_nodes", gt=0, help="Machines.")


class FailingOptions(Options):
    @model_validator(mode="before")
    @classmethod
    def _fails(cls, values: Any) -> Any:
        raise KeyError("a bug")


class FakeRegistry(Registry):
    """A registry whose catalogue lists one plugin that is not installed."""

    def catalogue(self) -> tuple[Listing, ...]:
        return (
            Listing(
                kind=Kind.METHOD,
                name="scales",
                summary="Not here.",
                distribution="adapt-extra",
                switch="SCALE_TUNING",
                options={"method": {"ssf_scale": ["SSF_SCALE"]}},
            ),
            Listing(
                kind=Kind.TASK,
                name="answer",
                summary="Not here.",
                distribution="adapt-answers",
                options={"task": {"doc_stride": ["doc_stride"]}, "dataset": {"question_column": []}},
            ),
        )


def spec(kind: type[PluginSpec], name: str, **fields: Any) -> Any:
    return kind(name=name, summary=f"Is {name}.", target="fractions:Fraction", **fields)


def libraries(engine: EngineSpec, *names: str) -> tuple[Library, ...]:
    return tuple(Library(name=name, engine=engine) for name in names)


def method(name: str, **fields: Any) -> MethodSpec:
    made = spec(MethodSpec, name, **{"head": "beside", "saves": "adapter", "learning_rate": 1e-3, **fields})
    assert isinstance(made, MethodSpec)
    return made


PLUGINS: tuple[tuple[Kind, PluginSpec], ...] = (
    (
        Kind.TASK,
        spec(
            TaskSpec,
            "read",
            libraries=libraries(ENGINE, "transformers"),
            dataset="fake_plugins:ReadData",
            aliases=("reading",),
        ),
    ),
    (
        Kind.TASK,
        spec(
            TaskSpec,
            "look",
            dataset="fake_plugins:LookData",
            options="fake_plugins:LookOptions",
            libraries=libraries(OTHER_ENGINE, "mmdet", "timm"),
        ),
    ),
    (Kind.METHOD, method("low_rank", options="fake_plugins:RankOptions", quantization=(4,))),
    (Kind.METHOD, method("whole", head="all", saves="model", switch="FULL_FINE_TUNING")),
    (Kind.METHOD, method("head_only", head="only", saves="model", options="fake_plugins:HeadOptions")),
    (Kind.METHOD, method("one_engine", engines=("second",))),
    (Kind.METHOD, method("failing", options="fake_plugins:FailingOptions")),
    (Kind.METHOD, method("gone", options="fake_plugins_gone:Options")),
    (
        Kind.QUANTIZER,
        spec(QuantizerSpec, "four_bit", bits=4, switch="load_in_4bit", options="fake_plugins:FourBitOptions"),
    ),
    (Kind.QUANTIZER, spec(QuantizerSpec, "eight_bit", bits=8, switch="load_in_8bit")),
    (Kind.SAVER, spec(SaverSpec, "state_dict")),
    (Kind.SAVER, spec(SaverSpec, "pretrained", libraries=("transformers",))),
    (Kind.LAUNCHER, spec(LauncherSpec, "local")),
    (
        Kind.LAUNCHER,
        spec(
            LauncherSpec,
            "many",
            switch="DDP",
            engines=("first",),
            parallel="replicated",
            options="fake_plugins:NodesOptions",
        ),
    ),
)


def registry(*more: tuple[Kind, PluginSpec]) -> FakeRegistry:
    """The registry, with further plugins of a third party."""
    entries = [Entry(kind, each, "adapt-fake", "1.0") for kind, each in PLUGINS]
    return FakeRegistry([*entries, *(Entry(kind, each, "third-party", "2.0") for kind, each in more)])
