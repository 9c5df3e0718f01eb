"""Which addresses the coordinator calls on somebody's word, and which it does not.

People register the addresses of task services and webhooks, and the coordinator calls them from inside the
deployment's network. Which address that is shows only when a connection is made, since a name can mean one now and
another a moment later. So it is asked there, of every address that is about to be connected to, whoever resolved it
and however it was written; `check` asks it once more when an address is registered, for an early answer.

Addresses that give away a machine's identity (link-local ones, and the metadata services of the large clouds) are
never called. Private ones and the machine itself are, where the deployment says so.
"""

import asyncio
import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from lockstep.coordinator.core.errors import Invalid

_METADATA: Final = frozenset(
    map(ip_address, ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"))
)
_NAT64: Final = IPv6Network("64:ff9b::/96")


class ForbiddenAddress(OSError):
    """A connection was not made, since the deployment does not call that address."""


@dataclass(frozen=True, slots=True)
class AddressGuard:
    """Lets addresses pass, or not.

    Attributes:
        allow_private: addresses of private networks, and of this machine, may be called.
    """

    allow_private: bool = False

    def complaint(self, address: str) -> str:
        """Return why an IP address is not called, as a sentence; empty if it is."""
        given = ip_address(address.partition("%")[0])
        ip = _meant(given)
        if ip.is_link_local or ip in _METADATA:
            kind = "a link-local address, or one of a cloud's metadata service"
        elif ip.is_unspecified or ip.is_multicast or (ip.is_reserved and not ip.is_loopback):
            kind = "no address of one machine"
        elif self.allow_private or ip.is_global:
            return ""
        else:
            kind = "an address of this machine" if ip.is_loopback else "an address of a private network"
        return f"{given} is {kind}, which this deployment does not call"

    def connector(self, **options: Any) -> aiohttp.TCPConnector:  # noqa: ANN401 - as aiohttp's connector
        """Return a connector that connects to nothing else; options as those of aiohttp's."""
        return aiohttp.TCPConnector(socket_factory=self._socket, **options)

    async def check(self, url: str) -> None:
        """Let an URL pass whose host has no address that is not called; one without any may get one later.

        Raises:
            Invalid: it has one; the sentence says which.
        """
        parts = urlsplit(url)
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(parts.hostname or "", parts.port or 80, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        for *_, address in found:
            if complaint := self.complaint(str(address[0])):
                raise Invalid({"url": [f"could not reach {url}: {complaint}"]})

    def _socket(self, info: Any) -> socket.socket:  # noqa: ANN401 - as `getaddrinfo` gives it
        family, kind, protocol, _, address = info
        if complaint := self.complaint(str(address[0])):
            raise ForbiddenAddress(0, complaint)
        return socket.socket(family, kind, protocol)


ANY_PRIVATE: Final = AddressGuard(allow_private=True)
"""As where nobody asks who callers are: everything but what gives a machine away."""


def _meant(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the address that packets end up at: some of version 6 stand for one of version 4."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip
