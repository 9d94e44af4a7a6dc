"""Options of bottleneck adapters."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from adapt_core.methods.shared.layer_types import HOW_TO_NAME
from adapt_core.options import Options, option


class BottleneckOptions(Options):
    """Bottleneck adapters: ``s * (U f(D x + d) + u)`` is added to what a sublayer gives, before the residual is.

    ``D`` has the shape (m, width) and ``U`` (width, m), where m is the width over ``reduction_factor``. The scaled
    parallel adapter of He et al. 2021 (arXiv:2110.04366) is ``placement: pfeiffer``, ``form: parallel`` and
    ``scaling: 4``.
    """

    placement: Literal["houlsby", "pfeiffer"] | None = option(
        None,
        help="Where in every transformer block: houlsby, at each attention and at the feed-forward (Houlsby et al. "
        "2019, arXiv:1902.00751), the default; pfeiffer, at the feed-forward only (Pfeiffer et al. 2020, "
        "arXiv:2005.00247). Not together with target_modules.",
    )
    form: Literal["serial", "parallel"] = option(
        "serial",
        help="What the adapter reads, x: serial, the output that it changes; parallel (He et al. 2021, "
        "arXiv:2110.04366), what the attention or feed-forward beside it reads.",
    )
    reduction_factor: int = option(
        16, gt=0, help="The adapter is so many times narrower than the layer: at width 768, 12 makes Houlsby's m = 64."
    )
    non_linearity: Literal["relu", "gelu", "silu", "tanh", "leaky_relu"] = option(
        "relu", help="The function f between the adapter's two layers."
    )
    scaling: float = option(1.0, gt=0, help="The factor s of what is added.")
    dropout: float = option(0.0, flat="dropout", ge=0, lt=1, help="Dropout after the function f.")
    target_modules: list[str] | str | None = option(
        None,
        flat="target_modules",
        help=f"Linear layers that get an adapter in place of those of the placement: {HOW_TO_NAME}. A parallel adapter "
        "reads the layer's own input then.",
    )
    modules_to_save: list[str] = option([], help="Further modules that are trained whole and saved with the adapter.")

    @model_validator(mode="after")
    def _one_says_where(self) -> BottleneckOptions:
        if self.placement is not None and self.target_modules is not None:
            raise ValueError("placement and target_modules both say where adapters go; remove one")
        return self
