"""Models that are sums of functions of one input each, as lookup networks of one layer.

Such are boosted trees that split by one input each, explainable boosting machines and generalised additive models.
What depends on two inputs together is refused by its name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...arrays import Reals
from ...errors import InputError
from .edge_functions import NamedFunctions
from .float_kan import FloatKAN
from .float_layer import FloatLayer
from .input_scalers import split_pipeline
from .sampled_functions import SampledFunctions

_GRID = 4096
"""At how many points a smooth function is sampled."""


def from_additive(model: Any) -> FloatKAN:
    """Import a model that adds up functions of one input each.

    Outputs are as the model has them before its link: of a classifier those before sigmoid or softmax, whose threshold
    is zero, or whose highest is the class. A regression with a logarithm as its link has a last layer of exponentials.

    Parameters
    ----------
    model
        One of these, fitted, or a ``Pipeline`` of scalers and one of them:

        - ``GradientBoosting...`` and ``HistGradientBoosting...`` of scikit-learn with ``max_depth=1`` or
          ``max_leaf_nodes=2``, or any other trees that split by one input each;
        - a model or ``Booster`` of LightGBM or XGBoost of such trees;
        - an ``ExplainableBoosting...`` of interpret with ``interactions=0``;
        - a ``GAM`` of pygam of splines, lines and factors, sampled over the range of its data.

    Raises
    ------
    InputError
        If it has anything that cannot be represented, by its name.
    """
    scale, offset, model = split_pipeline(model)
    for sign, read in _READERS.items():
        if hasattr(model, sign):
            return FloatKAN.of(read(model), scale, offset)
    raise InputError(
        f"model: is of type {type(model).__name__}, or not fitted; give boosted trees, an explainable boosting machine "
        "or a GAM that is"
    )


def _add_link(layers: list[FloatLayer], is_log: bool) -> list[FloatLayer]:
    """Add the exponentials of a logarithm as the link."""
    if is_log:
        n = layers[0].n_out
        layers.append(FloatLayer.of_functions("link", NamedFunctions.of("exp", n), np.eye(n)))
    return layers


# Trees.


class StepSums:
    """Sums of step functions of one input each, as they are added up.

    Parameters
    ----------
    n_in, n_out
        How many inputs and outputs there are.
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        self._steps: list[list[tuple[int, Reals, Reals]]] = [[] for _ in range(n_in)]
        self.constant = np.zeros(n_out)

    def add(self, source: int, node: int, cuts: Reals, values: Reals) -> None:
        """Add a function of input ``source`` to output ``node``: ``values``, one more than ``cuts`` in ascending order,
        between which it is constant; a cut belongs to the interval below it."""
        self._steps[source].append((node, cuts, values))

    def layer(self, name: str) -> FloatLayer:
        """Make the layer of all that was added."""
        points = [np.unique(np.concatenate([np.zeros(0), *(cuts for _, cuts, _ in steps)])) for steps in self._steps]
        functions = SampledFunctions.of(name, points, "above")
        weights = np.zeros((len(self.constant), len(points), functions.count))
        for source, steps in enumerate(self._steps):
            inside = np.append(points[source], np.inf)  # of every interval its upper end
            for node, cuts, values in steps:
                weights[node, source, : len(inside)] += values[np.searchsorted(cuts, inside, "left")]
        return FloatLayer.of_functions(name, functions, weights, bias=self.constant)


Node = tuple[int, float, Any, Any]
"""An inner node of a tree: input, threshold, and what is below it and at it, and what is above."""


def _add_tree(sums: StepSums, name: str, output: int, root: Any, read: Callable[[Any], Node | float]) -> None:
    """Add a tree whose nodes ``read`` gives: inner ones, or the value of a leaf."""
    cuts: list[float] = []
    sources: set[int] = set()

    def walk(node: Any) -> None:
        found = read(node)
        if isinstance(found, tuple):
            sources.add(found[0])
            cuts.append(found[1])
            walk(found[2])
            walk(found[3])

    def value(node: Any, x: float) -> float:
        found = read(node)
        while isinstance(found, tuple):
            found = read(found[2] if x <= found[1] else found[3])
        return found

    walk(root)
    if len(sources) > 1:
        inputs = " and ".join(map(str, sorted(sources)[:2]))
        raise InputError(
            f"{name}: a tree that splits by the inputs {inputs} cannot be represented; train with max_depth=1"
        )
    ends = np.unique([cut for cut in cuts if np.isfinite(cut)])
    values = np.array([value(root, end) for end in [*ends, np.inf]])
    if sources:
        sums.add(sources.pop(), output, ends, values)
    else:
        sums.constant[output] += values[0]


def _single_precision(threshold: float) -> float:
    """Give the largest number that is not above ``threshold`` once it is rounded to single precision."""
    below = np.float32(threshold)
    if float(below) > threshold:
        below = np.nextafter(below, np.float32(-np.inf))
    middle = (float(below) + float(np.nextafter(below, np.float32(np.inf)))) / 2
    return float(middle if np.float32(middle) <= below else np.nextafter(middle, -np.inf))


def _read_gradient_boosting(model: Any) -> list[FloatLayer]:
    kind = type(getattr(model, "init_", None)).__name__
    if kind not in ("DummyRegressor", "DummyClassifier", "str"):
        raise InputError(f"init: {kind} in front of the trees cannot be represented; leave it out, or give 'zero'")
    trees = np.asarray(model.estimators_)
    sums = StepSums(model.n_features_in_, trees.shape[1])
    for (number, output), estimator in np.ndenumerate(trees):
        tree = estimator.tree_

        def read(node: int, tree: Any = tree) -> Node | float:
            left = int(tree.children_left[node])
            if left < 0:
                return float(model.learning_rate * tree.value[node].ravel()[0])
            threshold = _single_precision(float(tree.threshold[node]))
            return int(tree.feature[node]), threshold, left, int(tree.children_right[node])

        _add_tree(sums, f"estimators_[{number}, {output}]", output, 0, read)
    layer = sums.layer("trees")
    # What the model begins with is what is missing at any one sample.
    x = np.zeros((1, model.n_features_in_))
    whole = model.decision_function(x) if hasattr(model, "decision_function") else model.predict(x)
    sums.constant += np.asarray(whole).ravel() - layer.evaluate(x)[0]
    return [sums.layer("trees")]


def _read_hist_gradient_boosting(model: Any) -> list[FloatLayer]:
    predictors = model._predictors  # there is no public name
    sums = StepSums(model.n_features_in_, len(predictors[0]) if predictors else 1)
    sources = np.arange(model.n_features_in_)
    if model.is_categorical_ is not None:  # the trees take inputs of categories first
        sources = np.argsort(~model.is_categorical_, kind="stable")
    for number, row in enumerate(predictors):
        for output, predictor in enumerate(row):
            name = f"tree {number}, {output}"

            def read(node: int, nodes: Any = predictor.nodes, name: str = name) -> Node | float:
                own = nodes[node]
                if own["is_leaf"]:
                    return float(own["value"])
                if own["is_categorical"]:
                    raise InputError(f"{name}: a split by categories cannot be represented; give numbers")
                source = int(sources[own["feature_idx"]])
                return source, float(own["num_threshold"]), int(own["left"]), int(own["right"])

            _add_tree(sums, name, output, 0, read)
    sums.constant += np.asarray(model._baseline_prediction, np.float64).ravel()
    return _add_link([sums.layer("trees")], getattr(model, "loss", "") in ("poisson", "gamma"))


def _read_lightgbm(model: Any) -> list[FloatLayer]:
    content = getattr(model, "booster_", model).dump_model()
    outputs = int(content["num_tree_per_iteration"])
    trees = content["tree_info"]
    objective = str(content.get("objective", "")).split()
    if "sqrt" in objective:
        raise InputError("reg_sqrt = True: a square behind the sum cannot be represented; train without")
    sums = StepSums(int(content["max_feature_idx"]) + 1, outputs)
    count = len(trees) // outputs if content.get("average_output") else 1

    def read(node: Mapping[str, Any]) -> Node | float:
        if "leaf_coeff" in node:
            raise InputError("linear_tree = True: lines in the leaves cannot be represented; train without")
        if "leaf_value" in node:
            return float(node["leaf_value"]) / count
        if node.get("missing_type") == "Zero":
            raise InputError(
                "zero_as_missing = True: zeros that stand for no number cannot be represented; train without"
            )
        if node["decision_type"] != "<=":
            raise InputError(
                f"decision_type {node['decision_type']!r} cannot be represented; give numbers, no categories"
            )
        return int(node["split_feature"]), float(node["threshold"]), node["left_child"], node["right_child"]

    for number, tree in enumerate(trees):
        _add_tree(sums, f"tree {number}", number % outputs, tree["tree_structure"], read)
    return _add_link([sums.layer("trees")], bool({"poisson", "gamma", "tweedie"} & set(objective)))


def _read_xgboost(model: Any) -> list[FloatLayer]:
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    settings = json.loads(booster.save_config())["learner"]
    kind = settings["gradient_booster"]["name"]
    if kind != "gbtree":
        raise InputError(f"booster = {kind!r}: cannot be represented; 'gbtree' can")
    missing = getattr(model, "missing", None)
    if missing is not None and not np.isnan(missing):
        raise InputError(f"missing = {missing!r}: a number that stands for none cannot be represented; train without")
    sizes = settings["learner_model_param"]
    outputs = max(1, int(sizes["num_class"]), int(sizes.get("num_target", 1)))
    # In every iteration each output in turn has so many trees.
    parallel = int(settings["gradient_booster"]["gbtree_model_param"].get("num_parallel_tree", 1))
    names = booster.feature_names or []
    sums = StepSums(booster.num_features(), outputs)

    def read(node: Mapping[str, Any]) -> Node | float:
        if "leaf" in node:
            if isinstance(node["leaf"], list):
                raise InputError("multi_strategy = 'multi_output_tree': cannot be represented; train a tree per output")
            return float(node["leaf"])
        if "split_condition" not in node:
            raise InputError(f"a split of {node['split']} by categories cannot be represented; give numbers")
        children = {child["nodeid"]: child for child in node["children"]}
        source = names.index(node["split"]) if node["split"] in names else int(str(node["split"]).lstrip("f"))
        # Inputs below the threshold go left, in single precision.
        below = float(np.nextafter(np.float32(node["split_condition"]), np.float32(-np.inf)))
        return source, _single_precision(below), children[node["yes"]], children[node["no"]]

    # Where training was stopped early, the model predicts by the trees up to the best iteration, a Booster by all.
    used = booster[: model.best_iteration + 1] if model is not booster and hasattr(model, "best_iteration") else booster
    for number, tree in enumerate(used.get_dump(dump_format="json")):
        _add_tree(sums, f"tree {number}", number // parallel % outputs, json.loads(tree), read)
    start = np.atleast_1d(json.loads(sizes["base_score"])).astype(np.float64)
    objective = settings["objective"]["name"]
    is_log = objective in ("count:poisson", "reg:gamma", "reg:tweedie")
    if objective in ("binary:logistic", "reg:logistic"):
        start = np.log(start / (1 - start))
    sums.constant += np.log(start) if is_log else start
    return _add_link([sums.layer("trees")], is_log)


# Explainable boosting machines.


def _read_ebm(model: Any) -> list[FloatLayer]:
    for name, features in zip(model.term_names_, model.term_features_, strict=True):
        if len(features) > 1:
            raise InputError(f"term {name!r}: an interaction cannot be represented; train with interactions=0")
    start = np.atleast_1d(np.asarray(model.intercept_, np.float64))
    points: list[npt.ArrayLike] = [np.zeros(0)] * model.n_features_in_
    values: dict[int, Reals] = {}
    for name, (source,), scores in zip(model.term_names_, model.term_features_, model.term_scores_, strict=True):
        cuts = model.bins_[source][0]
        if isinstance(cuts, Mapping):
            raise InputError(f"term {name!r}: categories cannot be represented; give numbers")
        points[source] = cuts
        # The first is for missing values, the last for unknown categories.
        values[source] = np.asarray(scores, np.float64).reshape(len(scores), -1)[1:-1]
    functions = SampledFunctions.of("terms", points, "at")
    weights = np.zeros((len(start), model.n_features_in_, functions.count))
    for source, found in values.items():
        weights[:, source, : len(found)] = found.T
    if model.link_ not in ("identity", "log", "logit", "mlogit"):
        raise InputError(f"link_ = {model.link_!r}: cannot be represented; identity, log, logit and mlogit can")
    return _add_link([FloatLayer.of_functions("terms", functions, weights, bias=start)], model.link_ == "log")


# Generalised additive models.


def _read_gam(model: Any) -> list[FloatLayer]:
    n_in = int(model.statistics_["m_features"])
    curves: dict[int, list[tuple[Reals, Reals]]] = {}
    start = 0.0
    for index, term in enumerate(model.terms):
        if term.isintercept:
            start += float(model.coef_[model.terms.get_coef_indices(index)].sum())
            continue
        if getattr(term, "istensor", False) or getattr(term, "by", None) is not None:
            raise InputError(f"terms[{index}]: {term} depends on two inputs together, and cannot be represented")
        grid = model.generate_X_grid(term=index, n=_GRID)
        effect = np.asarray(model.partial_dependence(term=index, X=grid), np.float64).ravel()
        curves.setdefault(int(term.feature), []).append((grid[:, int(term.feature)], effect))
    points: Sequence[Reals] = [_points(curves.get(source, [])) for source in range(n_in)]
    functions = SampledFunctions.of("terms", points)
    weights = np.zeros((1, n_in, functions.count))
    for source, parts in curves.items():
        for x, effect in parts:
            order = np.argsort(x)
            weights[0, source, : len(points[source])] += np.interp(points[source], x[order], effect[order])
    name = str(model.link)
    is_log = "log" in name.lower() and "logit" not in name.lower()
    if not is_log and not any(known in name.lower() for known in ("identity", "logit")):
        raise InputError(f"link = {name}: cannot be represented; identity, log and logit can")
    return _add_link([FloatLayer.of_functions("terms", functions, weights, bias=[start])], is_log)


def _points(parts: Sequence[tuple[Reals, Reals]]) -> Reals:
    return np.unique(np.concatenate([x for x, _ in parts])) if parts else np.zeros(1)


_READERS: dict[str, Callable[[Any], list[FloatLayer]]] = {
    "term_scores_": _read_ebm,
    "partial_dependence": _read_gam,
    "_baseline_prediction": _read_hist_gradient_boosting,
    "get_booster": _read_xgboost,
    "get_dump": _read_xgboost,
    "booster_": _read_lightgbm,
    "dump_model": _read_lightgbm,  # XGBoost's Booster has one too, of another kind
    "init_": _read_gradient_boosting,
}
"""What a model is read by, by an attribute that it is known by."""
