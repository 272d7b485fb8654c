"""Running learners and networks, on any backend."""
