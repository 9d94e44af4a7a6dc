"""Ways of setting up the processes of a run."""
