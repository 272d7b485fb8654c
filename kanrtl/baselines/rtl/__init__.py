"""The hardware of baselines."""
