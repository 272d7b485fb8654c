"""What can be done with a learner at the end of a wire: ``kanrtl serve``."""

from __future__ import annotations

import click
import cloup

from ..boards import BOARDS
from ..errors import InputError
from ..learner.spec import LearnerSpec
from ..link.layout import BAUD
from ..lookup.network import LookupNetwork
from ..virtual.board_simulation import simulate_board
from ..virtual.server import PseudoTerminal, ServedPort, TcpPort, serve
from .console import say, show_work
from .options import count_option, read_spec_or_network, spec_argument

__all__ = ["serve_command"]


def _read_port(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[str, int] | None:
    if value is None:
        return None
    host, _, port = value.rpartition(":")
    # Python refuses to read integers of thousands of digits.
    if not host or not port.isdecimal() or len(port) > 5 or int(port) > 65535:
        raise InputError(f"--tcp = {value!r}: must be a host and a port, such as localhost:4000")
    return host.removeprefix("[").removesuffix("]"), int(port)  # as an address of IPv6 stands before a port


@cloup.command("serve")
@spec_argument(callback=read_spec_or_network)
@cloup.option("--board", metavar="NAME", required=True, help=f"Simulate this board: one of {', '.join(BOARDS)}.")
@count_option(
    "--baud", 1, help="Rate of its serial port in bits a second; slow ones take long to simulate.  [default: 3000000]"
)
@cloup.option("--tcp", metavar="HOST:PORT", callback=_read_port, help="Serve on this TCP port, not a pseudo-terminal.")
def serve_command(spec: LearnerSpec | LookupNetwork, board: str, baud: int | None, tcp: tuple[str, int] | None) -> None:
    """Let a simulated board learn what a host sends.

    It is the design of `kanrtl build --board NAME --host uart`, simulated cycle by cycle from pin to pin: the same
    frames and the same bits as from the board itself. It says where it is found, and runs until it is interrupted.
    """
    if isinstance(spec, LookupNetwork):
        raise InputError("serve: a link carries learners only; give the spec of one")
    if board not in BOARDS:
        raise InputError(f"--board = {board!r}: unknown; use one of {', '.join(BOARDS)}")
    port: ServedPort = PseudoTerminal() if tcp is None else TcpPort(*tcp)
    try:
        with show_work(f"simulating {board}") as progress:
            simulation = simulate_board(spec, BOARDS[board], baud or BAUD, progress)
        click.echo(port.address)
        say("connect to this address; interrupt to end it")
        serve(simulation, port)
    finally:
        port.close()
