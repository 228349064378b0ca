"""Ports that nobody listens on."""

import socket

from deploy.layout import HOST


def free_ports(count: int) -> list[int]:
    """``count`` different ports of the loopback interface, free now."""
    held = [socket.socket() for _ in range(count)]
    try:
        for one in held:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in held]
    finally:
        for one in held:
            one.close()
