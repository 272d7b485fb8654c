"""Verilog of learners and networks, with a comment on top that says how to drive their ports."""
