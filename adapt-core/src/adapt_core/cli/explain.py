"""``adapt explain``: one plugin and its options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import click

from adapt_core.cli.arguments import complete_names, json_option, kind_argument
from adapt_core.cli.output import print_json, print_table
from adapt_core.kinds import Kind, LauncherSpec, Library, MethodSpec, PluginSpec, QuantizerSpec, SaverSpec, TaskSpec

if TYPE_CHECKING:
    from adapt_core.cli.option_info import OptionInfo

PREDICTION = "prediction"
"""Where a task's options of a prediction stand, which is no section of a configuration."""

SUPPORT = {
    "untested": "untested: no test of Adapt's has run it",
    "expert": "expert: it needs inputs, layers or adapters that a configuration does not give",
}

HEADS = {
    "beside": "trained beside the adapter, unless it is pretrained and LAST_LAYER_TUNING is false",
    "only": "trained, and nothing new besides",
    "all": "trained with every other parameter",
}


@click.command()
@kind_argument(required=True)
@click.argument("name", shell_complete=complete_names())
@json_option
def explain(kind: Kind, name: str, as_json: bool) -> None:
    """Explain the plugin of this KIND and NAME: what it works with, and every option.

    An option goes into its section of the configuration, or under its flat name at the top level.
    """
    from adapt_core.cli.option_info import describe
    from adapt_core.config.sections import BESIDE, MethodSection
    from adapt_core.plan.choose import all_option_models
    from adapt_core.plugins.registry import Registry, option_model

    registry = Registry.load()
    entry = registry.get(kind, name)
    spec = entry.spec
    sections = {kind.section: describe(registry.options(spec))}
    if isinstance(spec, MethodSpec) and spec.head == "beside":
        sections["method"] += tuple(option for option in describe(MethodSection) if option.key in BESIDE)
    if isinstance(spec, TaskSpec):
        for section, model in all_option_models(entry, registry):
            if section != kind.section:
                sections[section] = (*sections.get(section, ()), *describe(model))
        sections = {name: tuple({each.key: each for each in options}.values()) for name, options in sections.items()}
        if of_prediction := describe(option_model(spec.prediction)):
            sections[PREDICTION] = of_prediction
    if as_json:
        print_json(
            {
                "kind": kind.value,
                "name": spec.name,
                "summary": spec.summary,
                "distribution": entry.distribution,
                "version": entry.version,
                "aliases": list(spec.aliases),
                "switch": spec.switch,
                "works_with": {field.name: _plain(getattr(spec, field.name)) for field in _own_fields(spec)},
                "options": {name: [asdict(option) for option in options] for name, options in sections.items()},
            }
        )
        return
    click.echo(f"{spec.name}: {kind.value} from {entry.distribution} {entry.version}\n{spec.summary}\n")
    for label, text in _facts(spec):
        click.echo(f"{label}: {text}")
    for section, options in sections.items():
        _print_options(section, options)


def _print_options(section: str, options: tuple[OptionInfo, ...]) -> None:
    if not options:
        click.echo(f"\nThe section {section} takes no options from it.")
        return
    where = (
        "of a prediction (adapt predict RUN -O NAME=VALUE)" if section == PREDICTION else f"in the section {section}"
    )
    click.echo(f"\nOptions {where}:")
    print_table(
        ("option", "type", "default", "flat name", "meaning"),
        [(option.key, option.type, option.default_text, option.flat or "-", option.meaning) for option in options],
    )


def _own_fields(spec: PluginSpec) -> list[Any]:
    """The fields that the spec's kind adds to what every plugin says of itself."""
    common = {field.name for field in fields(PluginSpec)}
    return [field for field in fields(spec) if field.name not in common]


def _facts(spec: PluginSpec) -> list[tuple[str, str]]:
    """What a spec says beside its summary, for people."""
    facts = []
    if spec.aliases:
        facts.append(("Also named", ", ".join(spec.aliases)))
    if spec.switch:
        facts.append(("Also chosen by", f"{spec.switch}: true"))
    match spec:
        case TaskSpec():
            facts += [("Models from", ", ".join(f"{each} (engine {each.engine})" for each in spec.libraries))]
        case MethodSpec():
            facts += [
                ("Recommended learning rate", _rates(spec)),
                ("Saves", "a whole model" if spec.saves == "model" else "an adapter over the unchanged base model"),
                ("The model's head is", HEADS[spec.head]),
                ("Engines", _any(spec.engines)),
                ("In several processes", " and ".join(spec.parallel) or "no"),
                ("Layer types", ", ".join(spec.module_types) or "any"),
                ("Quantized bases", ", ".join(f"{bits} bits" for bits in spec.quantization) or "no"),
                ("Merges into the base's weights", _yes(spec.merges)),
                ("Starts as the base model", _yes(spec.identity)),
            ]
            if spec.support != "tested":
                facts.append(("Support", SUPPORT[spec.support]))
        case QuantizerSpec():
            facts += [
                ("Bits per weight", str(spec.bits)),
                ("Model libraries", ", ".join(spec.libraries)),
                ("In several processes", " and ".join(spec.parallel) or "no"),
            ]
        case SaverSpec():
            facts += [
                ("Model libraries", _any(spec.libraries)),
                (
                    "Keeps biases that merging adds",
                    "yes" if spec.added_biases else "where the architecture can have them",
                ),
                ("Loading runs code (pickle)", _yes(spec.pickle)),
            ]
        case LauncherSpec():
            facts += [("Engines", _any(spec.engines)), ("Models in its processes", spec.parallel or "one process")]
    return facts


KINDS = {"causal": "causal language models", "encoder": "encoders"}


def _rates(spec: MethodSpec) -> str:
    """The recommended learning rates, with the kinds of models that they are for."""
    others = [f"{rate:g} for {KINDS[kind]}" for kind, rate in spec.learning_rates.items()]
    return ", ".join([f"{spec.learning_rate:g}", *others])


def _plain(value: Any) -> Any:
    """A field of a spec as JSON has it: a library with its engine by their names."""
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Mapping):
        return dict(value)
    return {"name": value.name, "engine": value.engine.name} if isinstance(value, Library) else value


def _any(names: tuple[str, ...] | None) -> str:
    return "any" if names is None else ", ".join(names)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
