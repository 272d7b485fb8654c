"""Learners on signals and plants, beside other methods."""

from __future__ import annotations

from ..stored import result
from .markdown import table

SIGNALS = ("signal-silverbox", "signal-laser", "signal-channel", "signal-qubit")


def signals() -> str:
    """What is learned of each stream, by every method."""
    rows = []
    for name in SIGNALS:
        data = result(name)
        for index, method in enumerate(data["methods"]):
            title = f"**{data['title']}** (`{name}`)" if index == 0 else ""
            ours = "spec" in method and not method["name"].endswith("float64")
            error = f"{method['error']:#.3g}"
            chosen = method["chosen"] or ""
            if isinstance(chosen, dict):
                chosen = ", ".join(f"{field} {value:g}" for field, value in chosen.items())
            elif chosen:
                chosen = ", ".join(f"{value:g}" for value in chosen)
            cells = [title, method["name"], f"**{error}**" if ours else error, data["unit"], chosen]
            rows.append([cell.replace("_", " ") if cell is chosen else cell for cell in cells])
    return table(["stream", "method", "error", "of what", "chosen on the first part"], rows)


def amplifier() -> str:
    """The error of models of a power amplifier, by method."""
    data = result("power-amplifier")
    rows = []
    for method in data["methods"]:
        ours = "spec" in method and not method["name"].endswith("float64")
        error = f"{method['error']:.1f} dB"
        rate = f"{method['chosen']['learning_rate']:g}" if method["chosen"] else ""
        rows.append([method["name"], f"**{error}**" if ours else error, rate])
    return table(["four taps, two passes", "error of the test part", "rate"], rows)


def control_tasks() -> str:
    """Steps until tasks of gymnasium are solved, by formats and seed."""
    rows, seeds = [], list[str]()
    for name in ("cart-pole", "acrobot"):
        data = result(name)
        for kind, trainings in data["trainings"].items():
            steps = ["-" if one["solved_after"] is None else f"{one['solved_after']:,}" for one in trainings]
            rows.append([data["title"], f"{data['solved']:g}", kind, *steps])
            seeds = [f"steps, seed {one['seed']}" for one in trainings]
    return table(["task", "solved at a mean return of", "formats", *seeds], rows)
