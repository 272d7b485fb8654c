"""Numbers as hardware has them: formats, splines, pseudo-random bits."""
