from adapt_core.options import Options, option


class RayOptions(Options):
    """How many workers Ray Train starts, and on what they compute."""

    num_processes: int = option(gt=0, help="Workers on this machine.")
    use_cpu: bool = option(False, help="Compute on the CPU also where there are GPUs.")
    find_unused_parameters: bool | None = option(
        None,
        help="Look in each step for trained parameters that the loss does not depend on, which takes time. By default "
        "the first batch tells whether there are any; set it where another batch uses others.",
    )
