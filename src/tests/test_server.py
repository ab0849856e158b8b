"""What the server writes in one turn of the loop goes out at once."""

import asyncio
import socket

from ..server import Gathering


def test_head_and_body_go_out_together_and_what_was_written_goes_before_the_end() -> None:
    async def exchange() -> tuple[list[bytes], bytes]:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        loop = asyncio.get_running_loop()
        ours.setblocking(False)
        transport = _Datagrams(ours)
        gathering = Gathering(transport, loop)
        gathering.write(b"head ")
        gathering.write(b"body")
        await asyncio.sleep(0)
        gathering.write(b"more")
        gathering.close()
        with theirs:
            return [theirs.recv(100), theirs.recv(100)], theirs.recv(100)

    assert asyncio.run(exchange()) == ([b"head body", b"more"], b"")


class _Datagrams(asyncio.Transport):
    """Sends each write as a packet of its own, so that the other end sees how much was written at once."""

    def __init__(self, sender: socket.socket) -> None:
        super().__init__()
        self._sender = sender

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send a packet."""
        self._sender.send(data)

    def close(self) -> None:
        """End."""
        self._sender.close()
