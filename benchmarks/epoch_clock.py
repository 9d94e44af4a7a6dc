"""When the epochs of a training end."""

import json
import time
from pathlib import Path

from transformers import TrainerCallback


class EpochClock(TrainerCallback):
    """Writes the seconds from the begin of a training to the end of each of its epochs beside its output."""

    def on_train_begin(self, args, state, control, **kwargs):
        self.begin, self.ends = time.perf_counter(), []

    def on_epoch_end(self, args, state, control, **kwargs):
        self.ends.append(time.perf_counter() - self.begin)

    def on_train_end(self, args, state, control, **kwargs):
        file = Path(args.output_dir) / "epoch_seconds.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(self.ends))
