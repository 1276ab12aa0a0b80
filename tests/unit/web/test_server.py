from __future__ import annotations

import asyncio
import signal
import socket

import httpx
import pytest
from starlette.responses import PlainTextResponse

from dbopt.errors import ConfigError
from dbopt.web.server import HttpServer

APP = PlainTextResponse("hello")


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"http\.port: cannot listen on 127.0.0.1:{port}"):
            HttpServer(APP, "127.0.0.1", port).listen()


def test_a_host_that_is_none_is_said() -> None:
    with pytest.raises(ConfigError, match=r"http\.port: cannot listen on no host:1"):
        HttpServer(APP, "no host", 1).listen()


def test_a_host_that_no_name_can_be_is_said() -> None:
    with pytest.raises(ConfigError, match=r"^http\.port: cannot listen on "):
        HttpServer(APP, "x" * 300, 0).listen()


def test_it_serves_and_the_port_is_free_after_it() -> None:
    async def main() -> None:
        server = HttpServer(APP, "127.0.0.1", 0)
        server.listen()
        host, port = server.address
        before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        await server.start()
        assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
        async with httpx.AsyncClient(base_url=f"http://{host}:{port}") as client:
            answer = await client.get("/")
            assert "hello" == answer.text
            assert "server" not in answer.headers
            # A client that stays connected does not hold the stop up.
            await asyncio.wait_for(server.stop(), 5)
        again = HttpServer(APP, host, port)
        await again.start()
        assert (host, port) == again.address
        await again.stop()

    asyncio.run(main())


def test_stop_without_start() -> None:
    async def main() -> None:
        server = HttpServer(APP, "127.0.0.1", 0)
        server.listen()
        await server.stop()
        assert ("127.0.0.1", 0) == server.address

    asyncio.run(main())


def test_ipv6() -> None:
    server = HttpServer(APP, "::1", 0)
    try:
        server.listen()
    except ConfigError:
        pytest.skip("missing: IPv6 on this machine")
    assert "::1" == server.address[0]
    asyncio.run(server.stop())
