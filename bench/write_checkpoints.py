"""Checkpoints written by the libraries that train KANs: ``python -m bench.write_checkpoints CASE LIBRARY FOLDER``.

It takes torch and the library, in the folder LIBRARY, and neither kanrtl nor anything else of the bench: it may be run
by another interpreter. FOLDER holds afterwards, for every checkpoint, what the library predicts, in
``<file>.expected.npz``.
"""

from __future__ import annotations

import importlib
import pickle
import sys
import types
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

SIZES = [3, 4, 2]


def own_modules(library: str, *names: str) -> list[Any]:
    """Import modules of a library from their files: packages may ask for far more than these need."""
    sys.path.insert(0, library)
    for name in names:
        parent = name.rpartition(".")[0]
        while parent:
            package = types.ModuleType(parent)
            package.__path__ = [str(Path(library, *parent.split(".")))]
            sys.modules.setdefault(parent, package)
            parent = parent.rpartition(".")[0]
    return [importlib.import_module(name) for name in names]


class Writer:
    """Writes a model's checkpoints, and what it predicts beside each."""

    def __init__(self, folder: Path, predict: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self.folder = folder
        self._predict = predict
        self.x = torch.rand(200, SIZES[0]) * 1.8 - 0.9

    def expect(self, name: str) -> Path:
        """Note what the model predicts now for the checkpoint of this name."""
        with torch.no_grad():
            y = self._predict(self.x)
        np.savez(self.folder / f"{name}.expected.npz", x=self.x.numpy(), y=y.double().numpy())
        return self.folder / name

    def save(self, name: str, content: Any, **options: Any) -> None:
        """Write a file with ``torch.save``."""
        torch.save(content, self.expect(name), **options)

    def wrappings(self, model: nn.Module) -> None:
        """Write the state dict of a model in all wrappings."""
        from safetensors.torch import save_file  # beside torch, and only here

        state = model.state_dict()
        optimiser = torch.optim.Adam([one for one in model.parameters() if one.requires_grad])
        with torch.enable_grad():
            self._predict(self.x).square().sum().backward()
        optimiser.step()
        state = model.state_dict()
        beside = {"epoch": 3, "optimizer_state": optimiser.state_dict(), "auc": np.float64(0.5), "loss": np.float32(2)}
        self.save("state-dict.pt", state)
        self.save("stream.pt", state, _use_new_zipfile_serialization=False)
        for name in ("model_state", "model_state_dict", "state_dict", "net"):
            self.save(f"{name}.pt", {name: state, **beside, "scaler_mean": np.zeros(3)})
        for prefix in ("module.", "_orig_mod.", "model.kan."):
            self.save(f"prefix-{prefix}pt", {"state_dict": {prefix + one: value for one, value in state.items()}})
        self.save("protocol-4.pt", {"weights": state, "auc": np.float64(0.5)}, pickle_protocol=4)
        self.save("float64.pt", {one: value.double() for one, value in state.items()})
        self.save(
            "views.pt",
            {
                one: value.clone(memory_format=torch.contiguous_format).mT.contiguous().mT if value.ndim > 1 else value
                for one, value in state.items()
            },
        )
        with open(self.expect("plain.pkl"), "wb") as file:
            pickle.dump({one: value.numpy() for one, value in state.items()}, file)
        save_file({one: value.contiguous() for one, value in state.items()}, self.expect("weights.safetensors"))
        np.savez(self.expect("arrays.npz"), **{one: value.numpy() for one, value in state.items()})
        for number_type in (torch.bfloat16, torch.float16):
            rounded = {
                one: value.to(number_type) if value.is_floating_point() else value for one, value in state.items()
            }
            model.load_state_dict({one: value.float() for one, value in rounded.items()})
            name = str(number_type).removeprefix("torch.")
            self.save(f"{name}.pt", {"model": rounded})
            save_file({one: value.contiguous() for one, value in rounded.items()}, self.expect(f"{name}.safetensors"))
        model.load_state_dict(state)

    def whole(self, model: nn.Module) -> None:
        """Write the model itself, in both formats."""
        self.save("whole.pt", model)
        self.save("whole-stream.pt", {"model": model, "epoch": 1}, _use_new_zipfile_serialization=False)


def chain(model: nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    """Give the layers of a model one after the other."""

    def predict(x: torch.Tensor) -> torch.Tensor:
        for layer in getattr(model, "layers", model):
            x = layer(x)
        return x

    return predict


def write_pykan(library: str, folder: Path, base: str, symbolic: bool = False) -> None:
    """Write a trained KAN of pykan, with its own files where its version has such."""
    sys.path.insert(0, library)
    import kan  # whichever version lies in the folder

    functions: dict[str, Any] = {"silu": nn.SiLU(), "identity": nn.Identity(), "zero": lambda x: x * 0.0}
    by_name = hasattr(kan, "MultKAN") and "base_fun_name" in Path(kan.MultKAN.__init__.__code__.co_filename).read_text()
    old = not hasattr(kan.KAN, "saveckpt")
    options: dict[str, Any] = {} if old else {"auto_save": False, "affine_trainable": not symbolic}
    chosen = base if by_name and not old and "0.1" not in library else functions[base]
    model = kan.KAN(width=list(SIZES), grid=5, k=3, base_fun=chosen, seed=1, **options)
    x = torch.rand(100, SIZES[0]) * 2 - 1
    y = torch.stack([torch.sin(3 * x[:, 0]) + x[:, 1] ** 2, x[:, 2] * 0.5], 1)
    data = {"train_input": x, "test_input": x, "train_label": y, "test_label": y}
    (model.fit if hasattr(model, "fit") else model.train)(data, steps=2, update_grid=True)
    if symbolic:
        for edge, name in {(0, 0, 1): "sin", (0, 2, 3): "x^2", (1, 1, 0): "tanh", (1, 3, 1): "exp"}.items():
            model.fix_symbolic(*edge, name, fit_params_bool=False)
            model.symbolic_fun[edge[0]].affine.data[edge[2], edge[1]] = torch.tensor([0.7, 0.2, 1.3, -0.1])
    writer = Writer(folder, model)
    if not old:
        model.saveckpt(str(folder / "own"))
        writer.expect("own_state")
    if not symbolic:
        writer.wrappings(model)


def write_efficient(library: str, folder: Path) -> None:
    """Write a KAN of efficient-kan, as kan_gpt has it."""
    (module,) = own_modules(library, "kan_gpt.efficient_kan.model")
    model = module.KAN(SIZES)
    writer = Writer(folder, chain(model))
    writer.wrappings(model)
    writer.whole(model)


def write_ikan(library: str, folder: Path, name: str) -> None:
    """Write a KAN of ikan."""
    sys.modules.setdefault("torchinfo", types.ModuleType("torchinfo")).summary = None  # type: ignore[attr-defined]
    (module,) = own_modules(library, f"ikan.{name}")
    model = getattr(module, name)(SIZES)
    writer = Writer(folder, model)
    writer.wrappings(model)
    writer.whole(model)


def write_layers(library: str, folder: Path, module_name: str, layer: str, *options: Any) -> None:
    """Write a Sequential of layers."""
    (module,) = own_modules(library, module_name)
    make = getattr(module, layer)
    model = nn.Sequential(*(make(*sizes, *options) for sizes in pairwise(SIZES)))
    writer = Writer(folder, model)
    writer.wrappings(model)
    writer.whole(model)


def write_fast(library: str, folder: Path, norm: bool) -> None:
    """Write a FastKAN, with its layer norm or without."""
    (module,) = own_modules(library, "fastkan")
    model = module.FastKAN(SIZES)
    writer = Writer(folder, model)
    if norm:
        writer.save("state-dict.pt", model.state_dict())
        return
    for layer in model.layers:
        layer.layernorm = nn.Identity()
    writer.wrappings(model)
    writer.whole(model)


def write_multiplied(library: str, folder: Path) -> None:
    """Write a KAN of pykan with multiplication nodes."""
    sys.path.insert(0, library)
    import kan  # whichever version lies in the folder

    model = kan.KAN(width=[3, [2, 1], 1], grid=3, k=3, seed=1, auto_save=False)
    writer = Writer(folder, model)
    model.saveckpt(str(folder / "own"))
    writer.expect("own_state")


CASES: dict[str, Callable[[str, Path], None]] = {
    "pykan": lambda library, folder: write_pykan(library, folder, "silu"),
    "pykan-identity": lambda library, folder: write_pykan(library, folder, "identity"),
    "pykan-zero": lambda library, folder: write_pykan(library, folder, "zero"),
    "pykan-symbolic": lambda library, folder: write_pykan(library, folder, "silu", True),
    "pykan-multiplication": write_multiplied,
    "efficient-kan": write_efficient,
    "ikan": lambda library, folder: write_ikan(library, folder, "KAN"),
    "ikan-cheby": lambda library, folder: write_ikan(library, folder, "ChebyKAN"),
    "ikan-fourier": lambda library, folder: write_ikan(library, folder, "FourierKAN"),
    "cheby-kan": lambda library, folder: write_layers(library, folder, "ChebyKANLayer", "ChebyKANLayer", 4),
    "fourier-kan": lambda library, folder: write_layers(library, folder, "fftKAN", "NaiveFourierKANLayer", 5),
    "fast-kan": lambda library, folder: write_fast(library, folder, False),
    "fast-kan-norm": lambda library, folder: write_fast(library, folder, True),
}

if __name__ == "__main__":
    torch.manual_seed(1)
    torch.set_num_threads(1)
    case, library, folder = sys.argv[1:]
    CASES[case](library, Path(folder))
