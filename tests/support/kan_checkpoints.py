"""Checkpoints as other programs write them, with random contents."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kanrtl.lookup import from_kanele

RANDOM = np.random.default_rng(11)


def knots(size: int, order: int, n_in: int, low: float = -2, high: float = 2) -> npt.NDArray[np.float64]:
    step = (high - low) / size
    return np.tile(low + step * np.arange(-order, size + order + 1), (n_in, 1))


def efficient(sizes: list[int], size: int = 5, order: int = 3) -> dict[str, Any]:
    """A state dict as efficient-kan names it."""
    state = {}
    for layer, (n_in, n_out) in enumerate(pairwise(sizes)):
        state |= {
            f"layers.{layer}.grid": knots(size, order, n_in),
            f"layers.{layer}.base_weight": RANDOM.normal(0, 1, (n_out, n_in)),
            f"layers.{layer}.spline_weight": RANDOM.normal(0, 1, (n_out, n_in, size + order)),
            f"layers.{layer}.spline_scaler": RANDOM.normal(0, 1, (n_out, n_in)),
        }
    return state


SCALE = "brevitas_module.act_quant.fused_activation_quant_proxy.tensor_quant.scaling_impl.value"


def kanele(
    sizes: list[int], bits: list[int], size: int = 5, order: int = 3, base: str = "nn.SiLU", norm: bool = True
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A checkpoint and a configuration as KANELÉ writes them; edges are pruned at random."""
    state = efficient(sizes, size, order)
    state[f"input_layer.{SCALE}"] = np.float32(2.0)
    if norm:
        n_in = sizes[0]
        state |= {f"input_layer.pre_transforms.0.{name}": RANDOM.uniform(0.5, 1.5, n_in) for name in ("weight", "bias")}
        state |= {
            f"input_layer.pre_transforms.0.running_{name}": RANDOM.uniform(0.5, 1, n_in) for name in ("mean", "var")
        }
        state |= {"input_layer.pre_transforms.0.num_batches_tracked": np.int64(7)}
        state |= {"input_layer.pre_transforms.1.bias": np.array([-0.25])}
    for layer in range(len(sizes) - 1):
        state[f"layers.{layer}.output_quantizer.{SCALE}"] = np.float32(-3.0 - layer)
        state[f"layers.{layer}.spline_selector"] = (RANDOM.random((sizes[layer + 1], sizes[layer])) < 0.7).astype(
            np.float32
        )
    config = {
        "layers": sizes,
        "layers_bitwidth": bits,
        "grid_size": size,
        "spline_order": order,
        "base_activation": base,
    }
    return state, config


def pykan(sizes: list[int], size: int = 4, order: int = 3) -> dict[str, Any]:
    """A state dict as pykan 0.2 names it."""
    state = {}
    for layer, (n_in, n_out) in enumerate(pairwise(sizes)):
        state |= {
            f"node_bias_{layer}": RANDOM.normal(0, 1, n_out),
            f"node_scale_{layer}": RANDOM.normal(0, 1, n_out),
            f"subnode_bias_{layer}": RANDOM.normal(0, 1, n_out),
            f"subnode_scale_{layer}": RANDOM.normal(0, 1, n_out),
            f"act_fun.{layer}.grid": knots(size, order, n_in),
            f"act_fun.{layer}.coef": RANDOM.normal(0, 1, (n_in, n_out, size + order)),
            f"act_fun.{layer}.mask": (RANDOM.random((n_in, n_out)) < 0.7).astype(float),
            f"act_fun.{layer}.scale_base": RANDOM.normal(0, 1, (n_in, n_out)),
            f"act_fun.{layer}.scale_sp": RANDOM.normal(0, 1, (n_in, n_out)),
            f"symbolic_fun.{layer}.mask": np.zeros((n_out, n_in)),
            f"symbolic_fun.{layer}.affine": np.zeros((n_out, n_in, 4)),
        }
    return state


def write_published(folder: Path) -> None:
    """Small networks under the names of the two that KANELÉ has published, and held-out rows half of whose classes are
    right."""
    for name, sizes, output in (("Moons", [2, 2, 1], "threshold"), ("DryBean", [8, 2, 2], "argmax")):
        state, config = kanele(sizes, [3, 3, 4])
        # Deep enough for every row's latency: nothing is pruned, and no table is constant.
        state |= {field: np.ones_like(value) for field, value in state.items() if field.endswith("spline_selector")}
        state |= {field: np.full_like(value, 4.0) for field, value in state.items() if field.endswith("base_weight")}
        np.savez(folder / f"{name}.state_dict.npz", config_json=json.dumps(config), **state)
        x = np.random.default_rng(0).normal(0, 1, (40, sizes[0]))
        y = from_kanele(state, config, output=output).predict(x)
        y[20:] += 1
        np.savez(folder / f"{name}.test.npz", X=x, y=y)
