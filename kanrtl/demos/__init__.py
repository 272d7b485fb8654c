"""Tops that teach or check themselves, so that a board alone shows that it works."""
