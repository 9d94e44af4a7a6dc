"""MMEngine's Runner, which writes its log into the run's folder and not over the terminal."""

from __future__ import annotations

import logging
from typing import Any

from mmengine.logging import MMLogger
from mmengine.runner import Runner


class FolderRunner(Runner):  # type: ignore[misc]  # MMEngine ships no types
    """A Runner whose log goes into its work folder alone."""

    def build_logger(self, log_level: int | str = "INFO", log_file: str | None = None, **kwargs: Any) -> MMLogger:
        """MMEngine's logger without what writes to the terminal."""
        logger: MMLogger = super().build_logger(log_level, log_file, **kwargs)
        for handler in list(logger.handlers):
            if not isinstance(handler, logging.FileHandler):
                logger.removeHandler(handler)
        return logger

    def close(self) -> None:
        """Gives back the files of the log."""
        for handler in list(self.logger.handlers):
            handler.close()
            self.logger.removeHandler(handler)
