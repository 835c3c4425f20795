"""The gate of the playground's server, tried by a client without a browser."""

import asyncio
from urllib.parse import urlsplit

import pytest

pytest.importorskip("bokeh", reason='pip install "vecprop[playground]"')

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from vecprop.learn.playground import server as playground_server
from vecprop.learn.playground.server import PlaygroundServer


def visited(visit):
    """Return what a visit, a coroutine function of the server's address, returns."""

    async def run():
        server = PlaygroundServer(lambda document: None)
        server.start()
        try:
            return await visit(server.url)
        finally:
            server.stop()

    return asyncio.run(run())


async def status(url, **headers):
    answer = await AsyncHTTPClient().fetch(HTTPRequest(url, headers=headers), raise_error=False)
    return answer.code, answer.body.decode()


async def opened(url, **headers):
    """Return a websocket of the window whose page has just been loaded."""
    page = (await status(url))[1]
    token = page.split('"token":"')[1].split('"')[0]
    request = HTTPRequest(url.replace("http", "ws", 1) + "ws", headers=headers)
    return await websocket_connect(request, subprotocols=["bokeh", token])


async def closed(socket):
    """Close a connection, and wait until the other side has closed it too."""
    socket.close()
    await ended(socket)


async def ended(socket):
    while await socket.read_message() is not None:
        pass


def test_it_listens_on_this_machine_only():
    async def visit(url):
        return url

    parts = urlsplit(visited(visit))
    assert parts.hostname == "127.0.0.1"
    assert len(parts.path.strip("/")) == 32


def test_who_does_not_know_the_address_finds_nothing():
    async def visit(url):
        origin, token = url.rsplit("/", 2)[:2]
        paths = ["", "static/js/bokeh.min.js", "0" * 32 + "/", f"{token}/metadata", f"{token}/autoload.js", "..%2f"]
        assert (await status(url))[0] == 200
        assert (await status(url + "static/js/bokeh.min.js"))[0] == 200
        return [await status(f"{origin}/{path}") for path in paths]

    for code, text in visited(visit):
        assert (code, text.count(".")) == (404, 1)
        assert "open the address" in text


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "localhost", ""])
def test_foreign_names_of_this_machine_are_refused(host):
    async def visit(url):
        return await status(url, Host=host)

    code, text = visited(visit)
    assert code in (400, 403)
    if host:
        assert "by the address that it has printed" in text


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "null", "https://localhost"])
def test_foreign_origins_are_refused(origin):
    async def visit(url):
        with pytest.raises(HTTPClientError, match="403"):
            await opened(url, Origin=origin)
        return await status(url, Origin=origin)

    code, text = visited(visit)
    assert code == 403
    assert "pages of others" in text


def test_its_own_page_and_programs_are_let_in():
    async def visit(url):
        for headers in ({}, {"Origin": url.rsplit("/", 2)[0]}):
            socket = await opened(url, **headers)
            assert "ACK" in str(await socket.read_message())
            await closed(socket)

    visited(visit)


def test_a_window_that_the_server_has_not_made_is_refused():
    async def visit(url):
        return await status(f"{url}?bokeh-session-id=mine")

    assert visited(visit)[0] == 403


def test_the_fifth_window_is_refused_until_one_is_closed():
    async def visit(url):
        sockets = [await opened(url) for _ in range(4)]
        for socket in sockets:
            await socket.read_message()
        full = await status(url)
        await closed(sockets.pop())
        for _ in range(100):
            if (await status(url))[0] == 200:
                break
            await asyncio.sleep(0.02)
        else:
            pytest.fail("The window that was closed still counts.")
        for socket in sockets:
            await closed(socket)
        return full

    code, text = visited(visit)
    assert code == 503
    assert text == "4 windows are open already: close one, and load this page again."


def test_pages_that_are_never_opened_are_limited_too():
    async def visit(url):
        return [(await status(url))[0] for _ in range(14)]

    assert visited(visit) == [200] * 12 + [503] * 2


def test_a_message_that_is_too_long_ends_the_connection(monkeypatch):
    monkeypatch.setattr(playground_server, "MOST_BYTES", 1000)

    async def visit(url):
        socket = await opened(url)
        await socket.write_message("x" * 2000)
        await ended(socket)
        socket.close()  # here too
        return socket.close_code

    assert visited(visit) == 1009  # too big


def test_a_port_in_use_is_one_sentence():
    async def visit(url):
        with pytest.raises(OSError, match=r"Port \d+ cannot be used \(.*\): give another with --port\."):
            PlaygroundServer(lambda document: None, urlsplit(url).port)

    visited(visit)


def test_parts_of_a_message_do_not_wait_for_acknowledgements(monkeypatch):
    sent_at_once = []
    monkeypatch.setattr(playground_server.PromptSocket, "set_nodelay", lambda socket, value: sent_at_once.append(value))

    async def visit(url):
        await closed(await opened(url))

    visited(visit)
    assert sent_at_once == [True]
