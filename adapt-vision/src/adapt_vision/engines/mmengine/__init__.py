"""The engine on MMEngine's Runner, which trains the models of the OpenMMLab libraries."""
