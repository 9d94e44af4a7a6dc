"""A callback of the Trainer that notes what each process has in memory of its own before its third optimizer step."""

import os
from pathlib import Path

from transformers import TrainerCallback


class ResidentMemory(TrainerCallback):
    """Gradients and the optimizer's state are all there then. Files that are mapped do not count: they take no room."""

    def on_pre_optimizer_step(self, args, state, control, **kwargs):
        if state.global_step == 2:
            fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
            place = Path(os.environ["RESIDENT_MEMORY"], f"rank-{os.environ.get('RANK', '0')}.txt")
            place.write_text(str(int(fields["RssAnon"].split()[0]) * 1024))
