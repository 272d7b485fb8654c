"""What carries bytes to a device, by the kind of its address: one module each, with the name of the kind.

A module has a function ``open_wire``, which takes an address such as ``serial:///dev/ttyUSB0``, whole and in its parts,
and gives a :class:`~kanrtl.link.transport.Transport`; nothing else has to know of it.
"""

from importlib import import_module
from urllib.parse import SplitResult, urlsplit

from ...discovery import modules_of
from ...errors import InputError, join_choices
from ..transport import Transport

__all__ = ["TRANSPORTS", "is_address", "open_transport", "read_option"]

TRANSPORTS = modules_of(__path__, first=("serial", "tcp"))
"""The kinds of addresses."""


def is_address(text: object) -> bool:
    """Whether something is a text that is meant as the address of a device."""
    return isinstance(text, str) and "://" in text


def open_transport(address: str) -> Transport:
    """Open the wire to a device.

    Raises
    ------
    InputError
        If the address cannot be used.
    """
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise InputError(f"address = {address!r}: {error}; give one such as serial:///dev/ttyUSB0") from None
    if parts.scheme not in TRANSPORTS:
        kinds = join_choices(f"{kind}://" for kind in TRANSPORTS)
        raise InputError(f"address = {address!r}: must begin with {kinds}")
    if parts.fragment:
        raise InputError(f"address = {address!r}: {'#' + parts.fragment!r} is not known; leave it out")
    transport = import_module(f"{__name__}.{parts.scheme}").open_wire(address, parts)
    assert isinstance(transport, Transport)
    return transport


def read_option(address: str, parts: SplitResult, known: str = "") -> str | None:
    """Give the value of the option ``known``, as in ``?baud=115200``, or None where it is not given.

    Raises
    ------
    InputError
        If the address has any other.
    """
    name, _, value = parts.query.partition("=")
    if not parts.query:
        return None
    if not known or name != known or not value:
        told = f"only ?{known}= is known" if known else "leave it out"
        raise InputError(f"address = {address!r}: {parts.query!r} is not known; {told}")
    return value
