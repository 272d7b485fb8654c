"""Boards that are simulated, from pin to pin, and the wires to them."""
