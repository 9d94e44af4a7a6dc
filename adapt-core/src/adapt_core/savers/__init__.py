"""Export formats beside a run's ``model/`` folder."""
