"""Runs of learners and networks on tasks and files, and sweeps over anything that a spec says."""
