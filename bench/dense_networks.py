"""How near dense networks of torch come to what torch itself computes: ``python -m bench.dense_networks FOLDER``.

It takes torch and what kanrtl needs, and prints JSON: for models in memory, saved whole and as state dicts, the largest
difference of each.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrize, prune

from kanrtl import InputError
from kanrtl.lookup import from_mlp

SIZES = (4, 6, 6, 3)

FUNCTIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": nn.LeakyReLU,
    "leaky_relu(0.2)": lambda: nn.LeakyReLU(0.2),
    "elu(0.5)": lambda: nn.ELU(0.5),
    "celu(0.7)": lambda: nn.CELU(0.7),
    "selu": nn.SELU,
    "sigmoid": nn.Sigmoid,
    "log_sigmoid": nn.LogSigmoid,
    "hardsigmoid": nn.Hardsigmoid,
    "tanh": nn.Tanh,
    "hardtanh": nn.Hardtanh,
    "tanhshrink": nn.Tanhshrink,
    "softshrink(0.3)": lambda: nn.Softshrink(0.3),
    "hardshrink(0.4)": lambda: nn.Hardshrink(0.4),
    "silu": nn.SiLU,
    "hardswish": nn.Hardswish,
    "gelu": nn.GELU,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "mish": nn.Mish,
}
"""What stands between layers, by the name that ``activations`` takes."""


class Binary(nn.Module):
    """Weights of -1 and 1."""

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return torch.where(weight < 0, -1.0, 1.0)


class Ternary(nn.Module):
    """Weights of -1, 0 and 1."""

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return torch.sign(weight) * (weight.abs() > 0.2)


def dense(function: nn.Module, norm: bool = True) -> nn.Sequential:
    """Make a network in which one module stands in two places; with normalisations before, between and behind."""
    first, second, third, last = SIZES
    parts: list[nn.Module] = [nn.BatchNorm1d(first)] if norm else []
    parts += [nn.Linear(first, second), *([nn.BatchNorm1d(second)] if norm else []), function, nn.Dropout(0.3)]
    parts += [nn.Sequential(nn.Linear(second, third, bias=False), function)]
    parts += [*([nn.BatchNorm1d(third, eps=1e-2, affine=False)] if norm else []), nn.Linear(third, last)]
    return nn.Sequential(*parts)


def quantised(kind: nn.Module) -> nn.Sequential:
    """Make a network whose weights go through a module before each use."""
    model = dense(nn.Hardtanh())
    for part in model.modules():
        if type(part) is nn.Linear:
            parametrize.register_parametrization(part, "weight", kind)
    return model


def pruned() -> nn.Sequential:
    """Make a network of which half of the weights are pruned, and not yet removed."""
    model = dense(nn.ReLU())
    for part in model.modules():
        if type(part) is nn.Linear:
            prune.l1_unstructured(part, "weight", 0.5)
    return model


MODELS: dict[str, Callable[[], nn.Sequential]] = {
    **{name: lambda make=make: dense(make()) for name, make in FUNCTIONS.items()},  # type: ignore[misc]
    "prelu": lambda: dense(nn.PReLU(6)),
    "rrelu": lambda: dense(nn.RReLU()),
    "hardtanh from -2 to 1": lambda: dense(nn.Hardtanh(-2, 1)),
    "softplus of 3 x": lambda: dense(nn.Softplus(3.0)),
    "functions on both ends": lambda: nn.Sequential(nn.Tanh(), dense(nn.ReLU()), nn.Sigmoid()),
    "pruned": pruned,
}
"""What is compared in memory and saved whole."""

ONLY_IN_MEMORY = {"binary weights": lambda: quantised(Binary()), "ternary weights": lambda: quantised(Ternary())}
"""What torch does not save whole."""


def settle(model: nn.Sequential) -> nn.Sequential:
    """Give a model running statistics that are no defaults, in the mode ``eval``."""
    for _ in range(3):
        model(2 * torch.randn(64, SIZES[0]) + 0.5)
    return model.eval()


def main(folder: Path) -> None:
    torch.manual_seed(1)
    torch.set_num_threads(1)
    x = torch.randn(200, SIZES[0]) + 0.3
    rows = x.double().numpy()

    def difference(model: nn.Sequential, *arguments: object) -> float:
        with torch.no_grad():
            expected = model(x).double().numpy()
        return float(np.abs(from_mlp(*arguments).evaluate(rows)[-1] - expected).max())  # type: ignore[arg-type]

    found: dict[str, dict[str, float]] = {"in memory": {}, "saved whole": {}, "as state dicts": {}}
    for name, make in (MODELS | ONLY_IN_MEMORY).items():
        model = settle(make())
        found["in memory"][name] = difference(model, model)
        if name in MODELS:
            path = folder / "whole.pt"
            torch.save(model, path)
            found["saved whole"][name] = difference(model, path)
    for name, make_function in FUNCTIONS.items():
        model = settle(dense(make_function(), norm=False))
        path = folder / "state.pt"
        torch.save({"model_state_dict": model.state_dict(), "epoch": 3}, path)
        found["as state dicts"][name] = difference(model, path, name)
    try:
        from_mlp(nn.Sequential(nn.Linear(*SIZES[:2]), nn.Softmax(dim=1)))
    except InputError as error:
        refused = str(error)
    else:
        raise SystemExit("a softmax was taken for a function of one variable")
    print(json.dumps({"version": torch.__version__, "differences": found, "refused": refused}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
