"""Vision tasks for Adapt.

``data`` reads, checks and keeps images, ``augmentation`` changes them at random, ``processing`` makes them into what a
model reads, ``libraries`` holds timm and transformers behind one interface, and each task has a folder of its own.
"""

from __future__ import annotations

__version__ = "0.1.0"
