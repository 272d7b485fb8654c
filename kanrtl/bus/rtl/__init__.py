"""The hardware between a bus and a core."""
