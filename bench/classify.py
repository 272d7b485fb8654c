"""The project's own classifiers, as ``examples/classify.py`` trains them on scikit-learn's data sets, on two chips.

Accuracy in floats and by tables, held out and cross-validated; size and speed of the component alone. The examples are
imported only where they are measured: what is measured besides takes no scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np

from kanrtl import LookupNetwork
from kanrtl.build import Device
from kanrtl.lookup import network_size

from .row import Family, Progress, Result, Row, network_summary

__all__ = ["FAMILY", "SEARCHES", "Classifier", "Front", "learn_example"]

FREQUENCIES = {"ecp5": 250.0, "ice40": 60.0}  # asked for, in MHz: more than there is


def _tools() -> dict[str, str]:
    """The versions of what trains, and for which processors the kernels are that BLAS has chosen here.

    Kernels add up in orders of their own, and sums that differ in the last bit lead to other networks in the end.
    """
    from threadpoolctl import threadpool_info  # comes with scikit-learn

    # numpy and scipy may bring one each, of versions of their own, that choose alike.
    kernels = {one["internal_api"]: str(one["architecture"]) for one in threadpool_info() if one["user_api"] == "blas"}
    return {name: version(name) for name in ("numpy", "scikit-learn")} | kernels


@cache
def learn_example(name: str) -> tuple[LookupNetwork, Result, list[dict[str, float]]]:
    """The network of an example, its accuracies on the samples held out, and those of cross-validation: the same on
    every device."""
    from examples.classify import EXAMPLES, accuracies

    example = EXAMPLES[name]
    x, held_x, y, held_y = example.split()
    model = example.estimator().fit(x, y)
    held: Result = {"rows": len(held_y), "accuracy": accuracies(model, held_x, held_y)}
    return model.network_, held, list(example.cross_validated())


@dataclass(frozen=True)
class Classifier(Row):
    """One of the examples on one device."""

    example: str
    device: str
    seeds: tuple[int, ...] = (1, 2, 3, 4, 5)

    @property
    def hardware(self) -> dict[str, Any]:
        """How it becomes hardware."""
        from examples.classify import EXAMPLES

        return {"latency": EXAMPLES[self.example].latency}

    def make(self) -> LookupNetwork:
        """The network."""
        return learn_example(self.example)[0]

    def measure(self, progress: Progress) -> Result:
        from examples.classify import EXAMPLES, FOLDS, SEED

        example = EXAMPLES[self.example]
        progress("training and cross-validating")
        network, held, scores = learn_example(self.example)
        frequency = FREQUENCIES[Device.parse(self.device).family]
        summary = network_summary(network, self.device, self.seeds, progress, frequency=frequency, **self.hardware)
        return {
            "example": self.example,
            "settings": example.settings,
            "layer_sizes": list(network.layer_sizes),
            "bits": list(network.bits),
            "estimated": network_size(network).as_dict(),
            "held_out": held,
            "cross_validation": {
                "folds": FOLDS,
                "repeats": example.repeats,
                "seed": SEED,
                "accuracy": {name: [score[name] for score in scores] for name in scores[0]},
            },
            **summary,
            "tools": summary["tools"] | _tools(),
        }


@dataclass(frozen=True)
class Front(Row):
    """Accuracy against size: what a search finds in one of the examples, scored on the samples held out.

    The search itself sees none of these, and its networks are not trained on afterwards.
    """

    example: str

    def measure(self, progress: Progress) -> Result:
        from examples.classify import EXAMPLES, SEED

        example = EXAMPLES[self.example]
        x, held_x, y, held_y = example.split()
        progress("training")
        model = example.estimator().fit(x, y)
        classes, held = (np.searchsorted(model.classes_, labels) for labels in (y, held_y))
        output = model.network_.output
        search = model.kan_.search(x, classes, output=output, progress=progress, **example.searched)
        content: dict[str, Any] = search.as_dict()
        for point, about in zip(search.points, content["points"], strict=True):
            about["score_in_search"] = about["score"]
            about["score"] = float((point.quantise(output).predict(held_x) == held).mean())
        best = -1.0
        for about in sorted(content["points"], key=lambda one: (one["lut"], -one["score"])):
            about["on_front"] = about["score"] > best
            best = max(best, about["score"])
        chosen = network_size(model.network_).as_dict() | {"score": float(model.score(held_x, held_y))}
        return content | {
            "example": self.example,
            "layer_sizes": list(model.network_.layer_sizes),
            "float_score": float((model.predict_float(held_x) == held_y).mean()),
            "chosen": chosen,
            "seeds": [SEED],
            "tools": _tools(),
        }


TITLES = {
    "digits": "digits",
    "digits-hidden": "digits, a hidden layer",
    "wine": "wine",
    "breast-cancer": "breast cancer",
}
DENSE = "digits, a dense network"
DEVICES = {"up5k": "iCE40UP5K", "25f": "LFE5U-25F-6"}


def _on_both(name: str) -> tuple[Classifier, ...]:
    """Give the rows of an example on both chips."""
    return tuple(
        Classifier(f"classify-{name}-{short}", TITLES[name], name, device) for short, device in DEVICES.items()
    )


SEARCHES = Family(
    "front",
    "accuracy of classifiers against their size",
    tuple(Front(f"front-{name}", TITLES[name], name) for name in ("digits", "digits-hidden")),
)

FAMILY = Family(
    "classify",
    "classifiers of scikit-learn's data sets",
    (
        *_on_both("digits"),
        *_on_both("digits-hidden"),
        # The dense network of the same sizes, on the larger chip alone.
        Classifier("classify-digits-dense-25f", DENSE, "digits-dense", DEVICES["25f"], seeds=(1, 2, 3)),
        *_on_both("wine"),
        *_on_both("breast-cancer"),
    ),
)
