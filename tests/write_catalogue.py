"""Makes ``adapt_core/plugins/catalogue.json``: what Adapt's own distributions offer, installed or not.

    python tests/write_catalogue.py            compares the file with the installed plugins
    python tests/write_catalogue.py --write    writes it

Run it where every package of this repository is installed.
"""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

from adapt_core.config.sections import DatasetOptions
from adapt_core.kinds import TaskSpec
from adapt_core.options import Options, flat_name
from adapt_core.plugins.registry import Entry, Registry

ROOT = Path(__file__).parents[1]
CATALOGUE = ROOT / "adapt-core" / "src" / "adapt_core" / "plugins" / "catalogue.json"


def distributions() -> list[str]:
    """The names of the distributions of this repository, the core first."""
    files = sorted(ROOT.glob("adapt-*/pyproject.toml"))
    return [tomllib.loads(file.read_text(encoding="utf-8"))["project"]["name"] for file in files]


def catalogue(registry: Registry) -> str:
    """The text of the catalogue. Raises ValueError where a plugin of ours is broken."""
    ours = distributions()
    for broken in registry.broken:
        if broken.distribution in ours:
            raise ValueError(str(broken))
    # PEFT's tuners are those of the installed version: whoever has the core has them.
    listed = [entry for entry in registry.entries() if entry.distribution in ours and not _of_peft(entry)]
    rows = [_row(entry, registry) for entry in listed]
    rows.sort(key=lambda row: ours.index(row["distribution"]))
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"


def _of_peft(entry: Entry) -> bool:
    return entry.spec.target.startswith("adapt_core.methods.peft_tuners.")


def _row(entry: Entry, registry: Registry) -> dict[str, Any]:
    spec = entry.spec
    own = _names(registry.options(spec))
    dataset = _names(registry.dataset_options(spec)) if isinstance(spec, TaskSpec) else {}
    return {
        "kind": entry.kind.value,
        "name": spec.name,
        "summary": spec.summary,
        "distribution": entry.distribution,
        "aliases": list(spec.aliases),
        "switch": spec.switch,
        "options": own,
        "dataset": {name: flat for name, flat in dataset.items() if name not in DatasetOptions.model_fields},
    }


def _names(model: type[Options]) -> dict[str, str | None]:
    """From each option's name to its flat name."""
    return {name: flat_name(field) for name, field in model.model_fields.items()}


def main() -> int:
    text = catalogue(Registry.load())
    if "--write" in sys.argv[1:]:
        CATALOGUE.write_text(text, encoding="utf-8")
        print(f"wrote {CATALOGUE}")
        return 0
    same = CATALOGUE.read_text(encoding="utf-8") == text
    print("up to date" if same else f"{CATALOGUE} is stale: python tests/write_catalogue.py --write")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
