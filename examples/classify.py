"""Trains a lookup network on one of scikit-learn's bundled data sets, and says how good and how large it is.

    python examples/classify.py digits
    python examples/classify.py wine --build iCE40UP5K --save wine.npz
    python examples/classify.py digits --search front.png

Needs the extra ``sklearn``; ``--search`` also ``plot``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from sklearn import datasets
from sklearn.model_selection import RepeatedStratifiedKFold, train_test_split

from kanrtl import InputError, LookupClassifier
from kanrtl.build import BuildError, Device, build_network
from kanrtl.errors import ToolError
from kanrtl.lookup import network_size
from kanrtl.plots.canvas import check_picture

SEED = 0
FOLDS = 5


@dataclass(frozen=True)
class Example:
    """A data set, and what a network for it is made with. The last 25 % of a stratified shuffle are held out."""

    load: str
    settings: dict[str, Any]
    latency: int
    """Of the hardware, in cycles."""
    repeats: int = 1
    """Of cross-validation."""
    searched: dict[str, Any] = field(default_factory=dict)
    """Where a search begins, and ends."""

    def data(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        x, y = getattr(datasets, self.load)(return_X_y=True)
        return x, y

    def split(self) -> list[npt.NDArray[Any]]:
        """Samples to learn from and held out, then their classes."""
        x, y = self.data()
        return train_test_split(x, y, test_size=0.25, random_state=SEED, stratify=y)  # type: ignore[no-any-return]

    def estimator(self, verbose: bool = False) -> LookupClassifier:
        return LookupClassifier(**self.settings, random_state=SEED, verbose=verbose)

    def cross_validated(self) -> Iterator[dict[str, float]]:
        """Of every fold :func:`accuracies`."""
        x, y = self.data()
        for train, test in RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=self.repeats, random_state=SEED).split(
            x, y
        ):
            yield accuracies(self.estimator().fit(x[train], y[train]), x[test], y[test])


def accuracies(model: LookupClassifier, x: npt.NDArray[np.float64], y: npt.NDArray[np.int64]) -> dict[str, float]:
    """The share of right classes: by the KAN in floats, by its tables, and by those that training went on with."""
    found = {
        "floats": model.predict_float(x),
        "untuned": model.classes_[model.untuned_network_.predict(x)],
        "tables": model.predict(x),
    }
    return {name: float((classes == y).mean()) for name, classes in found.items()}


EXAMPLES = {
    "digits": Example(
        "load_digits",
        {"bits": (3, 6), "l1": 5e-4, "l2": 5e-4},
        latency=6,
        searched={"bits": (4, 8), "least_bits": 1},
    ),
    "digits-hidden": Example(
        "load_digits",
        {"hidden_layer_sizes": (16,), "bits": (3, 4, 6), "edges": 350},
        latency=9,
        searched={"bits": (4, 6, 8), "least_bits": 1},
    ),
    "wine": Example("load_wine", {"bits": (4, 7)}, latency=4, repeats=4),
    "breast-cancer": Example("load_breast_cancer", {"bits": (4, 6)}, latency=4, repeats=4),
}


@click.command(help=__doc__)
@click.argument("name", type=click.Choice(list(EXAMPLES)))
@click.option("--build", "device", help="Place and route the core for this device, such as iCE40UP5K or LFE5U-25F-6.")
@click.option("--save", type=click.Path(path_type=Path), help="Write the network to this .npz file.")
@click.option("--search", "picture", type=click.Path(path_type=Path), help="Draw accuracy against size into this file.")
def main(name: str, device: str | None, save: Path | None, picture: Path | None) -> None:
    try:
        if picture is not None:  # before it takes long
            check_picture(picture)
        if device is not None:
            Device.parse(device)
        _run(EXAMPLES[name], device, save, picture)
    except (InputError, BuildError) as error:
        raise click.UsageError(str(error)) from None
    except ToolError as error:
        raise click.ClickException(str(error)) from None


def _run(example: Example, device: str | None, save: Path | None, picture: Path | None) -> None:
    x, held_x, y, held_y = example.split()
    model = example.estimator(verbose=True).fit(x, y)
    network = model.network_
    held = accuracies(model, held_x, held_y)
    click.echo(f"right of {len(held_y)} samples held out: {_shown(held)}")
    size = network_size(network)
    click.echo(
        f"layers {list(network.layer_sizes)}, bits {list(network.bits)}: {size.edges} edges that are not constant, "
        f"{size.table_bits} table bits, about {size.lut} LUT4"
    )
    if save is not None:
        network.save(save)
        click.echo(f"wrote {save}")
    with click.progressbar(
        example.cross_validated(), length=FOLDS * example.repeats, label="cross-validating"
    ) as folds:
        scores = list(folds)
    means = {name: float(np.mean([score[name] for score in scores])) for name in held}
    difference = [score["tables"] - score["floats"] for score in scores]
    click.echo(f"mean of {len(scores)} folds: {_shown(means)}")
    click.echo(f"tables less floats, by fold: from {min(difference):+.1%} to {max(difference):+.1%}")
    if picture is not None:
        search = model.kan_.search(
            x, np.searchsorted(model.classes_, y), output=network.output, progress=click.echo, **example.searched
        )
        search.plot(picture)
        click.echo(f"wrote {picture}")
    if device is not None:
        report = build_network(network, device, latency=example.latency, progress=click.echo)
        for label, value in report.table():
            click.echo(f"{label:<17}{value}")


def _shown(scores: dict[str, float]) -> str:
    return (
        f"{scores['floats']:.1%} in floats, {scores['untuned']:.1%} by their tables, {scores['tables']:.1%} by tables "
        "that were trained on"
    )


if __name__ == "__main__":
    main()
