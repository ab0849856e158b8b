"""Which addresses a notice may go to."""

import ipaddress

import pytest

from ...exceptions import ConfigError, NotificationError
from ...service.guard import Guard, host_of

PRIVATE = (
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",  # where clouds keep credentials
    "100.64.0.1",
    "0.0.0.0",
    "::1",
    "::",
    "fe80::1",
    "fd00::1",
    "::ffff:127.0.0.1",
    "2002:7f00:1::",
)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused_unless_all_are_allowed(address: str) -> None:
    assert not Guard().admits(ipaddress.ip_address(address))
    assert Guard("all").admits(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111"])
def test_public_addresses_are_admitted(address: str) -> None:
    assert Guard().admits(ipaddress.ip_address(address))


def test_only_the_networks_that_are_named_are_allowed() -> None:
    guard = Guard("10.1.0.0/16, ::1")
    assert [guard.admits(ipaddress.ip_address(text)) for text in ("10.1.9.9", "::1", "10.2.0.1", "127.0.0.1")] == [
        True,
        True,
        False,
        False,
    ]
    with pytest.raises(ConfigError, match="network 'home'"):
        Guard("home")


def test_a_name_that_leads_inside_is_refused_whatever_it_looks_like() -> None:
    for host in ("localhost", "127.1", "0x7f000001", "2130706433"):
        with pytest.raises(NotificationError, match="private network"):
            Guard().resolve(host, 80)
    assert Guard("127.0.0.0/8, ::1").resolve("localhost", 80) in ("127.0.0.1", "::1")


def test_an_address_without_a_host_is_refused() -> None:
    assert host_of("https://example.com/a") == ("example.com", 443)
    assert host_of("http://[::1]:8080/") == ("::1", 8080)
    for broken in ("https://", "http://host:x/", "nonsense"):
        with pytest.raises(NotificationError):
            host_of(broken)
