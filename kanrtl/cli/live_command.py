"""A learner to look at while it learns: ``kanrtl live``."""

from __future__ import annotations

from typing import Any

import click
import cloup

from ..errors import InputError
from ..experiments.live_page import check_bokeh, create_server
from ..experiments.live_run import LiveRun
from ..learner.spec import LearnerSpec
from ..sessions.connect import connect
from ..sim import TASKS
from ..sim.task import Task
from .console import say, show_work
from .options import backend_option, choice_option, count_option, input_option, learner_argument
from .signal_options import check_without_data, choose_seed, read_recording, signal_group, take_signal_options

__all__ = ["live_command"]

SAMPLES = 1500

FASTEST = 1_000_000_000
"""Samples a second that can be asked for; no backend sends as many."""


@cloup.command("live")
@learner_argument
@cloup.option_group(
    "What it learns",
    choice_option("--task", TASKS, help="Let it learn this task.  [default: track]"),
    input_option("--data", help="Let it learn the signals of this file: CSV (also .gz), .npz or Parquet."),
    count_option("--samples", 3, help="Begin again after N samples.  [default: 1500, or all of --data]"),
    count_option("--seed", 0, help="Draw samples at random with this seed.  [default: 0]"),
)
@cloup.option_group(
    "Where it runs",
    backend_option(help="Run on this backend, or at this address.  [default: model]"),
    count_option("--speed", 1, FASTEST, default=200, help="Send N samples a second, if the backend is quick enough."),
)
@signal_group()
@cloup.option_group(
    "The page",
    count_option("--port", 0, 65535, default=5006, help="Serve it on this port; 0 for any that is free."),
    cloup.option("--open/--no-open", "open_browser", default=True, help="Open a browser.  [default: open]"),
)
def live_command(
    learner: LearnerSpec | str,
    task: str | None,
    data: str | None,
    samples: int | None,
    seed: int | None,
    backend: str | None,
    speed: int,
    port: int,
    open_browser: bool,
    **signals: Any,
) -> None:
    """Watch a learner learn in a browser, and turn its knobs.

    The page has target and prediction, the error, the curve of every edge with the range of its last inputs, counters
    of what saturated and was lost, and the learning rates, freeze and pause. The task is learned again and again, until
    the command is interrupted. Where the learner is gone, as at the end of a cut wire, a line says so, and the page
    stands still. An address such as serial:///dev/ttyUSB0 in the place of SPEC is that of a learner that knows its
    spec.
    """
    signals = take_signal_options(signals)
    seed = choose_seed(seed, data)
    check_bokeh()
    learned: Task
    if data is None:
        check_without_data(signals)
        learned = TASKS[task or "track"](samples or SAMPLES, seed)
    else:
        learned = read_recording(data, task, samples, signals)
    if isinstance(learner, str) and backend is not None:
        raise InputError(f"--backend = {backend!r}: {learner!r} is one already; leave one of them out")
    with show_work("starting the learner") as progress:
        session = connect(learner, backend or "model", progress=progress)
    with session:
        run = LiveRun(session, learned, speed, lambda reason: say(f"kanrtl: {reason}; interrupt to end"))
        server = create_server(run, "localhost", port)
        address = f"http://localhost:{server.port}/"
        click.echo(address)
        say("open this address in a browser; interrupt to end it")
        run.start()
        try:
            if open_browser:
                server.io_loop.add_callback(click.launch, address)
            # What bokeh has for this takes signals for itself, and tells of them on standard output.
            server.start()
            server.io_loop.start()
        finally:
            run.stop()
            server.stop()
    if run.snapshot.failed:
        raise SystemExit(1)  # why was said when it happened
