"""Which tuners the installed PEFT has, read off its source: importing it imports torch, which listing must not."""

from __future__ import annotations

import importlib.util
import re
from functools import cache
from pathlib import Path


def peft_folder() -> Path | None:
    """The folder of the installed PEFT; None where there is none."""
    spec = importlib.util.find_spec("peft")
    return Path(spec.origin).parent if spec and spec.origin else None


@cache
def tuners() -> tuple[str, ...]:
    """The tuners of the installed PEFT, as ``PeftType`` names them, in lower case and sorted; none without PEFT."""
    root = peft_folder()
    if root is None:
        return ()
    text = (root / "utils" / "peft_types.py").read_text(encoding="utf-8")
    enum = re.search(r"^class PeftType\(.*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    members = re.findall(r'^    \w+ = "(\w+)"$', enum[0] if enum else "", re.MULTILINE)
    return tuple(sorted(member.lower() for member in members))
