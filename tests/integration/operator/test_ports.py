"""Which ports a stack takes, on real sockets of loopback."""

import socket

import pytest

from interlock_operator.errors import OperatorError
from interlock_operator.native.ports import FIRST_EPHEMERAL, PortWish, choose

pytestmark = pytest.mark.integration

FREE_PORT = 18_443


def chosen(wish, **environ):
    """Return the port that a wish gets."""
    with choose((wish,), environ) as ports:
        return ports[wish.name]


def test_a_port_that_the_operator_set_is_taken_or_refused():
    """A setting that cannot be met is named; a default that is taken moves to a neighbor."""
    wish = PortWish("engine", "ENGINE_PORT", FREE_PORT)
    assert chosen(wish) == FREE_PORT
    with socket.create_server(("127.0.0.1", FREE_PORT)):
        assert chosen(wish) > FREE_PORT
        with pytest.raises(OperatorError, match=f"ENGINE_PORT: port {FREE_PORT} is taken"):
            chosen(wish, ENGINE_PORT=str(FREE_PORT))
    with pytest.raises(OperatorError, match="expected a port number"):
        chosen(wish, ENGINE_PORT="http")


def test_no_port_is_given_twice_while_it_is_kept():
    """A chosen port is no other stack's, even before its server listens; later it is free again."""
    wishes = tuple(PortWish(str(n), f"P{n}", FREE_PORT) for n in range(5))
    with choose(wishes, {}) as ports:
        assert len(set(ports.values())) == 5
        assert chosen(wishes[0]) not in ports.values()
    assert chosen(wishes[0]) == FREE_PORT


def test_chosen_ports_are_not_those_of_outgoing_connections():
    """A number from the kernel's own range could be gone when the server binds it."""
    with pytest.raises(OperatorError, match="set P"):
        chosen(PortWish("p", "P", FIRST_EPHEMERAL))
