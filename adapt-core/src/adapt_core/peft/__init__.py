"""Adapt's own tuners in PEFT: importing this package lets ``PeftModel.from_pretrained`` load what they saved."""

from adapt_core.peft.registration import register
from adapt_core.peft.ssf.config import SsfConfig
from adapt_core.peft.ssf.model import SsfModel

register("SSF", SsfConfig, SsfModel, prefix="ssf_")

__all__ = ["SsfConfig", "SsfModel"]
