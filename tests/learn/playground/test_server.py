"""Test which requests the playground's server accepts."""

import asyncio
import os
import re
import subprocess
import sys
from inspect import Signature, signature
from urllib.parse import urljoin, urlsplit

import pytest

pytest.importorskip("bokeh", reason='pip install "vecprop[playground]"')

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from vecprop.learn.playground import server as playground_server
from vecprop.learn.playground.server import PlaygroundServer


def served(visit):
    """Convert a coroutine function of a server's address and parameters to a test."""

    async def run(**given):
        server = PlaygroundServer(lambda document: None)
        server.start()
        try:
            await visit(server.url, **given)
        finally:
            server.stop()

    def test(**given):
        asyncio.run(run(**given))

    test.__name__ = visit.__name__
    test.__signature__ = Signature([*signature(visit).parameters.values()][1:])  # pyright: ignore[reportFunctionMemberAccess]
    return test


async def status(url, **headers):
    answer = await AsyncHTTPClient().fetch(
        HTTPRequest(url, headers=headers), raise_error=False
    )
    return answer.code, answer.body.decode()


async def opened(url, **headers):
    """Load the page and return the WebSocket of its window."""
    page = (await status(url))[1]
    token = page.split('"token":"')[1].split('"')[0]
    request = HTTPRequest(url.replace("http", "ws", 1) + "ws", headers=headers)
    return await websocket_connect(request, subprotocols=["bokeh", token])


async def closed(socket):
    """Close a connection and wait until the other side has closed it too."""
    socket.close()
    await ended(socket)


async def ended(socket):
    while await socket.read_message() is not None:
        pass


@pytest.mark.long
def test_the_server_starts_without_the_packages_of_tables_and_files():
    heavy = "{'sklearn', 'pandas', 'scipy.stats', 'matplotlib'}"
    code = (
        f"import sys, vecprop.learn.playground.server; sys.exit(', '.join({heavy} &"
        " sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stderr.strip() == ""


@served
async def test_unknown_addresses_are_not_found(url):
    parts = urlsplit(url)
    assert parts.hostname == "127.0.0.1"
    assert len(parts.path.strip("/")) == 32
    origin, token = url.rsplit("/", 2)[:2]
    assert (await status(url))[0] == 200
    assert (await status(url + "static/js/bokeh.min.js"))[0] == 200
    paths = [
        "",
        "static/js/bokeh.min.js",
        "0" * 32 + "/",
        f"{token}/metadata",
        f"{token}/autoload.js",
        "..%2f",
    ]
    paths.append(f"{token}/static/%00")
    for path in paths:
        code, text = await status(f"{origin}/{path}")
        assert (code, text.count(".")) == (404, 1)
        assert "open the address" in text


@served
async def test_the_page_loads_only_the_core_of_bokeh(url):
    page = (await status(url))[1]
    scripts = re.findall(r'src="([^"]+)"', page)
    assert [script.split("?")[0] for script in scripts] == [
        f"{urlsplit(url).path}static/js/bokeh.min.js"
    ]
    assert len(page) + len((await status(urljoin(url, scripts[0])))[1]) < 1_500_000


@served
async def test_large_bodies_are_refused_and_the_address_is_not_logged(url, caplog):
    answer = await AsyncHTTPClient().fetch(
        HTTPRequest(url, method="POST", body=b"x" * 100_000), raise_error=False
    )
    assert answer.code >= 400
    assert (await status(url + "unknown"))[0] == 404
    assert urlsplit(url).path.strip("/") not in caplog.text


def test_the_browser_is_given_a_file_that_leads_to_the_address(tmp_path):
    page = playground_server.redirect("http://127.0.0.1:5/secret/", tmp_path)
    assert "url=http://127.0.0.1:5/secret/" in page.read_text()
    assert os.name == "nt" or page.stat().st_mode & 0o777 == 0o600


@served
async def test_foreign_hosts_and_origins_are_rejected(url):
    for host in ("evil.example", "evil.example:80", "localhost", ""):
        code, text = await status(url, Host=host)
        assert code in (400, 403)
        assert not host or "at the address that it printed" in text
    for origin in (
        "http://evil.example",
        "http://127.0.0.1:1",
        "null",
        "https://localhost",
    ):
        with pytest.raises(HTTPClientError, match="403"):
            await opened(url, Origin=origin)
        code, text = await status(url, Origin=origin)
        assert code == 403
        assert "other sites" in text


@served
async def test_its_own_page_and_programs_are_accepted(url):
    for headers in ({}, {"Origin": url.rsplit("/", 2)[0]}):
        socket = await opened(url, **headers)
        assert "ACK" in str(await socket.read_message())
        await closed(socket)
    assert (await status(f"{url}?bokeh-session-id=mine"))[0] == 403  # an unknown window


@served
async def test_the_fifth_window_is_rejected_until_one_is_closed(url):
    sockets = [await opened(url) for _ in range(4)]
    for socket in sockets:
        await socket.read_message()
    said = "4 windows are open already: close one and reload this page."
    assert await status(url) == (503, said)
    await closed(sockets.pop())
    for _ in range(100):
        if (await status(url))[0] == 200:
            break
        await asyncio.sleep(0.02)
    else:
        pytest.fail("The window that was closed still counts.")
    for socket in sockets:
        await closed(socket)


@served
async def test_pages_that_are_never_opened_are_limited_too(url):
    assert [(await status(url))[0] for _ in range(14)] == [200] * 12 + [503] * 2


@pytest.fixture
def short_messages(limit):
    limit("playground: bytes", 1000)


@pytest.mark.usefixtures("short_messages")
@served
async def test_too_long_messages_close_the_connection(url):
    socket = await opened(url)
    await socket.write_message("x" * 2000)
    await ended(socket)
    socket.close()  # close this side too
    assert socket.close_code == 1009  # message too big
    with pytest.raises(
        OSError, match=r"Port \d+ is not available \(.*\): choose another with --port\."
    ):
        PlaygroundServer(lambda document: None, urlsplit(url).port)


@served
async def test_parts_of_a_message_do_not_wait_for_acknowledgements(url, monkeypatch):
    sent_at_once = []
    monkeypatch.setattr(
        playground_server.PromptSocket,
        "set_nodelay",
        lambda socket, value: sent_at_once.append(value),
    )
    await closed(await opened(url))
    assert sent_at_once == [True]
