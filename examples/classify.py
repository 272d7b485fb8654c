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
from sklearn.neural_network import MLPClassifier

from kanrtl import InputError, LookupClassifier
from kanrtl.build import BuildError, Device, build_network
from kanrtl.errors import ToolError
from kanrtl.lookup import Penalty, from_mlp, network_size, train
from kanrtl.plots.canvas import check_picture

SEED = 0
FOLDS = 5


class DenseClassifier:
    """scikit-learn's ``MLPClassifier``, whose tables are pruned and trained on as those of a ``LookupClassifier`` are.

    Its attributes and methods are those of one.
    """

    def __init__(
        self,
        hidden_layer_sizes: tuple[int, ...],
        *,
        bits: tuple[int, ...],
        edges: int,
        alpha: float = 1.0,
        random_state: int = 0,
        verbose: bool = False,
    ) -> None:
        self._model = MLPClassifier(hidden_layer_sizes, alpha=alpha, max_iter=1000, random_state=random_state)
        self._bits, self._edges = bits, edges

    def fit(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.int64]) -> DenseClassifier:
        self._model.fit(x, y)
        self.classes_ = self._model.classes_
        target = np.searchsorted(self.classes_, y)
        settings: dict[str, Any] = {"loss": "cross_entropy", "penalty": Penalty(l2=1e-3), "learning_rate": 0.01}
        kan = self.kan_ = from_mlp(self._model)
        kan = train(kan.prune(x, edges=self._edges), x, target, epochs=100, **settings).kan
        calibration = kan.calibrate(x, self._bits)
        self.untuned_network_ = calibration.quantise(kan, output="argmax")
        scales = calibration.scales_for("argmax")
        guards = [layer.guard_bits for layer in self.untuned_network_.layers]
        kan = train(kan, x, target, epochs=50, scales=scales, guard_bits=guards, **settings).kan
        self.network_ = calibration.quantise(kan, output="argmax")
        return self

    def predict(self, x: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        return self.classes_[self.network_.predict(x)]  # type: ignore[no-any-return]

    def predict_float(self, x: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        return self._model.predict(x)  # type: ignore[no-any-return]

    def score(self, x: npt.NDArray[np.float64], y: npt.NDArray[np.int64]) -> float:
        return float((self.predict(x) == y).mean())


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
    kind: type[LookupClassifier] | type[DenseClassifier] = LookupClassifier

    def data(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        x, y = getattr(datasets, self.load)(return_X_y=True)
        return x, y

    def split(self) -> list[npt.NDArray[Any]]:
        """Samples to learn from and held out, then their classes."""
        x, y = self.data()
        return train_test_split(x, y, test_size=0.25, random_state=SEED, stratify=y)  # type: ignore[no-any-return]

    def estimator(self, verbose: bool = False) -> LookupClassifier | DenseClassifier:
        return self.kind(**self.settings, random_state=SEED, verbose=verbose)

    def cross_validated(self) -> Iterator[dict[str, float]]:
        """Of every fold :func:`accuracies`."""
        x, y = self.data()
        for learned, held in RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=self.repeats, random_state=SEED).split(
            x, y
        ):
            yield accuracies(self.estimator().fit(x[learned], y[learned]), x[held], y[held])


def accuracies(
    model: LookupClassifier | DenseClassifier, x: npt.NDArray[np.float64], y: npt.NDArray[np.int64]
) -> dict[str, float]:
    """The share of right classes: by the network in floats, by its tables, and by those that training went on with."""
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
    "digits-dense": Example(
        "load_digits",
        {"hidden_layer_sizes": (16,), "bits": (3, 4, 6), "edges": 600},
        latency=9,
        searched={"bits": (4, 6, 8), "least_bits": 1},
        kind=DenseClassifier,
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
