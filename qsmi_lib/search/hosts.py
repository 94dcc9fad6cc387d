"""Under which names browsers may reach the app, so that a page of another host cannot use it (DNS rebinding)."""

import ipaddress
import re
import socket
from collections.abc import Iterable

# A name or an address with an optional port, as in the header Host; an IPv6 address stands in brackets.
AUTHORITY = re.compile(r"(?:\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::(?P<port>[0-9]{1,5}))?", re.I)
LOOPBACK = ("localhost", "127.0.0.1", "::1")
WILDCARDS = ("0.0.0.0", "::")  # to listen on them is to listen on every address of the machine
DEFAULT_PORTS = {"http": 80, "https": 443}


class Hosts:
    """The names and addresses of an app.

    Its own ones are those of the loopback, the address that it listens on, the address that a request has reached, and
    the machine's name if the app listens on every address. They hold with its own port only.

    Args:
        host: the name or address that the app listens on.
        port: its port.
        allowed: further names, `NAME` for any port, or `NAME:PORT`.

    Raises:
        ValueError: `host` is no name or address, or one of `allowed` is not of this form.
    """

    def __init__(self, host: str, port: int, allowed: Iterable[str] = ()):
        if not (_is_address(host) or (AUTHORITY.fullmatch(host) and "[" not in host and ":" not in host)):
            raise ValueError(f"--host must be one name or address such as 127.0.0.1, got {host!r}")
        self._port, self._own = port, {*LOOPBACK, host.lower()}
        if host in WILDCARDS:
            self._own.add(socket.gethostname().lower())
        self._allowed = {_parsed_name(text) for text in allowed}

    def refused(self, host: str | None, origin: str | None, reached: str) -> str | None:
        """Why a request is refused, in words, or None if it is not.

        Args:
            host: the header Host of the request, if it has one.
            origin: its header Origin, that is the page which sends it, if it has one.
            reached: the address of this machine that it has reached.
        """
        if not self._holds(host, 80, reached):
            return f"the app does not answer to the host {host!r}; `--allow-host NAME` allows further names"
        if origin is not None:
            scheme, _, authority = origin.partition("://")
            if not self._holds(authority, DEFAULT_PORTS.get(scheme, 0), reached):
                return f"the app does not answer to pages of {origin!r}; `--allow-host NAME` allows further names"
        return None

    def _holds(self, authority: str | None, default_port: int, reached: str) -> bool:
        """Whether a name or address with its port is one of the app."""
        if authority is None or (match := AUTHORITY.fullmatch(authority)) is None:
            return False
        name, port = (match["address"] or match["name"]).lower(), int(match["port"] or default_port)
        if {(name, None), (name, port)} & self._allowed:
            return True
        return port == self._port and name in {*self._own, reached}


def _parsed_name(text: str) -> tuple[str, int | None]:
    """``NAME`` or ``NAME:PORT`` as a pair; a ValueError says what is expected."""
    if (match := AUTHORITY.fullmatch(text)) is None:
        raise ValueError(f"--allow-host must be NAME or NAME:PORT such as pictures.example.org, got {text!r}")
    return (match["address"] or match["name"]).lower(), int(match["port"]) if match["port"] else None


def _is_address(text: str) -> bool:
    """Whether `text` is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
