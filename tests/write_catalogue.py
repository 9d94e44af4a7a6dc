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

from adapt_core.config.sections import SECTIONS
from adapt_core.options import flat_names
from adapt_core.plan.choose import all_option_models
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
    options: dict[str, dict[str, list[str]]] = {}
    for section, model in all_option_models(entry, registry):
        core = SECTIONS[section].model_fields
        own = {name: list(flat_names(field)) for name, field in model.model_fields.items() if name not in core}
        options[section] = options.get(section, {}) | own
    return {
        "kind": entry.kind.value,
        "name": spec.name,
        "summary": spec.summary,
        "distribution": entry.distribution,
        "aliases": list(spec.aliases),
        "switch": spec.switch,
        "options": {section: names for section, names in options.items() if names},
    }


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
