"""Sockets for buses: what a core says that it is, its register map, and shells that put a core behind a bus."""
