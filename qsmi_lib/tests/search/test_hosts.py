"""Which requests the app refuses by their headers Host and Origin."""

import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qsmi_lib.search.hosts import AUTHORITY, Hosts

REACHED = "127.0.0.1"


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8866", "localhost:8866", "LOCALHOST:8866", "[::1]:8866", "pictures.example", "b.example:1"]
)
def test_own_and_allowed_names_are_accepted(host):
    hosts = Hosts("127.0.0.1", 8866, ["Pictures.example", "b.example:1"])
    assert hosts.refused(host, None, REACHED) is None and hosts.refused(host, f"http://{host}", REACHED) is None


@pytest.mark.parametrize(
    "host",
    [
        *(None, "", ":8866", "localhost", "localhost:", "localhost:80", "[localhost]:8866", "b.example:2"),
        *("evil.example:8866", "localhost.evil.example:8866", "127.0.0.1.evil.example:8866", "192.0.2.1:8866"),
        *("evil@localhost:8866", "localhost:8866@evil.example", "localhost:8866,evil.example", "localhost:8866/evil"),
        *("[::1:8866", "::1:8866", "localhost:٨٨٦٦"),
    ],
)  # fmt: skip
def test_every_other_host_is_refused(host):
    hosts = Hosts("127.0.0.1", 8866, ["b.example:1"])
    assert hosts.refused(host, None, REACHED)
    assert host is None or hosts.refused("localhost:8866", f"http://{host}", REACHED)


@pytest.mark.parametrize("origin", ["null", "", "file://", "http://localhost:3000", "https://localhost", "http://[bad"])
def test_every_other_page_is_refused_and_named(origin):
    assert repr(origin) in Hosts("127.0.0.1", 8866).refused("localhost:8866", origin, REACHED)


def test_an_origin_without_port_has_that_of_its_scheme():
    assert Hosts("127.0.0.1", 80).refused("localhost", "http://localhost", REACHED) is None
    assert Hosts("127.0.0.1", 443).refused("localhost:443", "https://localhost", REACHED) is None


def test_an_app_on_every_address_answers_to_the_one_that_is_reached_and_to_the_machines_name():
    hosts = Hosts("0.0.0.0", 8866)
    assert hosts.refused("192.0.2.1:8866", None, "192.0.2.1") is None
    assert hosts.refused(f"{socket.gethostname()}:8866", None, "192.0.2.1") is None
    assert hosts.refused("192.0.2.1:8866", None, "192.0.2.2") and hosts.refused("evil.example:8866", None, "192.0.2.1")
    assert hosts.refused("[2001:db8::1]:8866", None, "2001:db8::1") is None


@pytest.mark.parametrize("name", ["", "http://a.example", "a.example/", "a b", "[::1", "a:b", "bücher.example", "*"])
def test_a_name_of_another_form_is_an_error(name):
    with pytest.raises(ValueError, match="--allow-host must be NAME or NAME:PORT"):
        Hosts("127.0.0.1", 8866, [name])


@pytest.mark.parametrize("host", ["", "http://localhost", "localhost:80", "[::1]", "a b"])
def test_an_address_of_another_form_is_an_error(host):
    with pytest.raises(ValueError, match="--host must be one name or address"):
        Hosts(host, 8866)


@settings(max_examples=40)
@given(st.one_of(st.text(), st.from_regex(AUTHORITY)), st.one_of(st.none(), st.text()))
def test_only_known_names_are_accepted(host, origin):
    if Hosts("127.0.0.1", 8866).refused(host, origin, REACHED) is None:
        assert host.lower() in {f"{name}:8866" for name in ("localhost", "127.0.0.1", "[::1]")} and origin is None
