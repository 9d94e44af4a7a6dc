from adapt_core.hookspecs import hookimpl
from adapt_core.kinds import LauncherSpec


@hookimpl
def adapt_launchers():
    yield LauncherSpec(
        name="ray",
        summary="Ray Train's workers on this machine, each with the whole model and a share of every batch.",
        target="adapt_ray.launcher:RayTrain",
        options="adapt_ray.options:RayOptions",
        parallel="replicated",
    )
