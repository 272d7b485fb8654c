"""Checkpoints of other programs as plain arrays: nothing in a file is run, and no other program is needed."""
