"""Waveform files, read back."""

import io
from pathlib import Path
from typing import Any

from vcd.reader import TokenKind, tokenize


def read(path: Path) -> tuple[dict[str, str], dict[str, list[tuple[int, Any]]]]:
    """Kinds and changes of everything in a VCD file, by name."""
    scopes: list[str] = []
    names: dict[str, str] = {}
    kinds: dict[str, str] = {}
    changes: dict[str, list[tuple[int, Any]]] = {}
    now = 0
    for token in tokenize(io.BytesIO(path.read_bytes())):
        if token.kind is TokenKind.SCOPE:
            scopes.append(token.scope.ident)
        elif token.kind is TokenKind.UPSCOPE:
            scopes.pop()
        elif token.kind is TokenKind.VAR:
            name = ".".join([*scopes, token.var.reference])
            names[token.var.id_code] = name
            kinds[name] = token.var.type_.value
            changes[name] = []
        elif token.kind is TokenKind.CHANGE_TIME:
            now = token.time_change
        elif token.kind in (TokenKind.CHANGE_REAL, TokenKind.CHANGE_SCALAR, TokenKind.CHANGE_VECTOR):
            change = token.data
            changes[names[change.id_code]].append((now, change.value))
    return kinds, changes
