"""A learner at the other end of a wire: frames, what a device does with them, and what a host does."""
