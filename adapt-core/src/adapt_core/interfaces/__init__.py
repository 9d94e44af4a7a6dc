"""What the implementation behind each kind of plugin must offer."""

from __future__ import annotations

from adapt_core.interfaces.around import Launcher, Quantizer, Saver
from adapt_core.interfaces.engine import Engine
from adapt_core.interfaces.meter import Meter
from adapt_core.interfaces.method import OWN_BASE, Method
from adapt_core.interfaces.task import Task
from adapt_core.interfaces.world import World

__all__ = ["OWN_BASE", "Engine", "Launcher", "Meter", "Method", "Quantizer", "Saver", "Task", "World"]
