from adapt_core.options import Options, option


class RayOptions(Options):
    """How many workers Ray Train starts, and on what they compute."""

    num_processes: int = option(gt=0, help="Workers on this machine.")
    use_cpu: bool = option(False, help="Compute on the CPU also where there are GPUs.")
