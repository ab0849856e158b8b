"""Keeps notices out of private networks: whoever sets a channel's address must not reach what only this machine can."""

import ipaddress
import socket
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from ..exceptions import ConfigError, NotificationError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
EVERYWHERE = "all"


class Guard:
    """Lets notices go to public addresses, and to the private networks that a setting names.

    `allowed`: networks with commas between, `all`, or nothing. Raises ConfigError where one can't be read.
    """

    def __init__(self, allowed: str = "") -> None:
        self._everywhere = allowed.strip() == EVERYWHERE
        self._allowed = [] if self._everywhere else list(networks(allowed))

    def admits(self, address: Address) -> bool:
        """Whether a notice may go to an address."""
        plain = _unwrapped(address)
        return self._everywhere or plain.is_global or any(plain in network for network in self._allowed)

    def resolve(self, host: str, port: int) -> str:
        """An address of a host that a notice may go to. Raises NotificationError where there is none.

        Whoever connects connects to this very address: asked again, the name might lead elsewhere.
        """
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise NotificationError(f"the channel can't be reached: its host isn't found ({error.strerror})") from error
        addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
        admitted = [address for address in addresses if self.admits(address)]
        if not admitted or len(admitted) < len(addresses):
            raise NotificationError(
                "the host of the channel is in a private network, where notices don't go; the setting"
                " notify_private_networks allows those that are meant"
            )
        return str(admitted[0])

    def check_hosts(self, hosts: Iterable[str]) -> None:
        """Raise NotificationError where one of some hosts is in a private network."""
        for host in hosts:
            self.resolve(host, 0)


def networks(text: str) -> Sequence[Network]:
    """Networks with commas between. Raises ConfigError where one can't be read."""
    found = []
    for part in (part.strip() for part in text.split(",")):
        if part:
            try:
                found.append(ipaddress.ip_network(part, strict=False))
            except ValueError as error:
                raise ConfigError(f"network {part!r}: expected one such as 10.1.0.0/16 or ::1, or all") from error
    return found


def host_of(address: str) -> tuple[str, int]:
    """Host and port of a webhook's address. Raises NotificationError where it has none."""
    try:
        parts = urlsplit(address)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise NotificationError(
            "the webhook can't be reached: its address is none; remove the channel and add it again"
        ) from error
    if not parts.hostname:
        raise NotificationError("the webhook can't be reached: its address names no host; remove the channel")
    return parts.hostname, port


def _unwrapped(address: Address) -> Address:
    """An IPv4 address in an IPv6 one counts as itself."""
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address.sixtofour or address
    return address
