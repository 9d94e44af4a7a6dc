"""How long the processor worked on a training, which other work on the machine does not change as it does the time."""

import time
from pathlib import Path

from transformers import TrainerCallback


class ProcessorClock(TrainerCallback):
    """Writes the seconds from the begin of a training to the end of its last step beside its output."""

    def on_train_begin(self, args, state, control, **kwargs):
        self.begin = time.process_time()

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == state.max_steps:
            file = Path(args.output_dir) / "processor_seconds.txt"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(str(time.process_time() - self.begin))
