"""The app's server: one process holds the networks and answers every visit, over HTTP and without sessions.

A visitor sends a picture or the number of an example, and gets HTML. No visitor's code runs, no file is served, and
each request of another host is refused before it is read.
"""

import asyncio
import functools
import socket
import webbrowser
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import click
from tornado.httpserver import HTTPServer
from tornado.web import Application, HTTPError, RequestHandler, stream_request_body

from qsmi_lib.datasets.images.decoding import MOST_PIXELS
from qsmi_lib.search import answers, page
from qsmi_lib.search.hosts import WILDCARDS, Hosts

MOST_BYTES = 4 * MOST_PIXELS  # of a query: the largest picture that is accepted, uncompressed
MOST_QUEUED = 2 * MOST_BYTES  # of all queries that are read or wait for their answers
POLL = 0.1  # seconds between two looks whether there is room for another query
PATIENCE = 60  # seconds that a request may take to arrive, and that an unused connection stays open
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; img-src data:; "
    "style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Handler(RequestHandler):
    """Refuses requests of other hosts and pages; every route has it, also those that do not exist."""

    def set_default_headers(self) -> None:
        """Headers of each answer: the page loads and sends nothing but from and to this server."""
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        """Refuse what comes from another host, or from a page of another host, with status 403."""
        headers, reached = self.request.headers, self.request.connection.stream.socket.getsockname()[0]
        reason = self.settings["hosts"].refused(headers.get("Host"), headers.get("Origin"), reached)
        # A link of another page may lead here, but that page may not embed this one.
        from_elsewhere = headers.get("Sec-Fetch-Site") in ("cross-site", "same-site")
        if reason is None and from_elsewhere and headers.get("Sec-Fetch-Dest") != "document":
            reason = "the app cannot be part of another page"
        if reason is not None:
            raise HTTPError(403, reason)

    def write_error(self, status_code: int, **kwargs) -> None:
        """The reason as a message of the page."""
        error = kwargs["exc_info"][1]
        reason = error.log_message % error.args if isinstance(error, HTTPError) and error.log_message else self._reason
        self.finish(answers.refusal(reason))


class Missing(Handler):
    """What the app does not have."""

    def prepare(self) -> None:
        """Refuse other hosts, and everything else with status 404."""
        super().prepare()
        raise HTTPError(404)


class Text(Handler):
    """A text that never changes: the page, its script, and its style."""

    def initialize(self, text: str, kind: str) -> None:
        """Set the text and its media type."""
        self.text, self.kind = text, kind

    def get(self) -> None:
        """The text."""
        self.set_header("Content-Type", f"{self.kind}; charset=utf-8")
        self.finish(self.text)


@stream_request_body  # `prepare` runs before the body is read
class Query(Handler):
    """The answers to a query: a picture file, which is the body of the request, or an example."""

    async def prepare(self) -> None:
        """Refuse a query that is too large, and read others once there is room for them."""
        self.content, self.complete = bytearray(), False
        super().prepare()
        try:
            size = int(self.request.headers["Content-Length"])
        except (KeyError, ValueError) as error:
            raise HTTPError(411, "a query must say how long it is") from error
        if size > MOST_BYTES:
            raise HTTPError(413, f"the file has {size / 1e6:.0f} MB, expected at most {MOST_BYTES / 1e6:.0f} MB")
        while sum(self.queued.values()) + size > MOST_QUEUED:
            await asyncio.sleep(POLL)
        self.queued[self] = size

    @property
    def queued(self) -> dict["Query", int]:
        """The queries that are read or wait for their answers, and the sizes of their files."""
        return self.settings["queued"]

    def data_received(self, chunk: bytes) -> None:
        """Collect the body."""
        self.content += chunk

    async def post(self) -> None:
        """The answers, or why there are none, with status 422."""
        self.complete = True
        arguments = {name: self.get_query_argument(name, "") for name in ("count", "example", "shows", "name")}
        search = functools.partial(self.settings["page"].answer, **arguments, content=bytes(self.content))
        self.content.clear()  # it may wait for others, and needs no second copy
        try:
            self.finish(await asyncio.get_running_loop().run_in_executor(self.settings["worker"], search))
        except (ValueError, OSError) as error:
            raise HTTPError(422, str(error)) from error

    def on_connection_close(self) -> None:
        """Forget a query whose visitor has left before it was complete."""
        super().on_connection_close()
        if not self.complete:
            self.queued.pop(self, None)

    def on_finish(self) -> None:
        """Forget a query that is answered."""
        self.queued.pop(self, None)


def application(shown: page.Page, hosts: Hosts) -> Application:
    """The routes of the app; the first search is done here, so that the first visitor does not wait for it."""
    script, style, cards = (path.read_text(encoding="utf-8") for path in (page.SCRIPT, page.STYLE, answers.STYLE))
    return Application(
        [
            ("/", Text, {"text": shown.html(MOST_BYTES), "kind": "text/html"}),
            ("/page.js", Text, {"text": script, "kind": "text/javascript"}),
            ("/page.css", Text, {"text": cards + style, "kind": "text/css"}),
            ("/answers", Query),
        ],
        default_handler_class=Missing,
        page=shown,
        hosts=hosts,
        queued={},
        worker=ThreadPoolExecutor(1),  # one search at a time: a search uses all cores, and decodes one picture
    )


def listener(host: str, port: int) -> socket.socket:
    """A socket that listens at this address; an OSError names the address if it cannot be used."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        return socket.create_server(address, family=family)
    except OSError as error:
        reason = f"{error.strerror}: choose another --port or --host"
        raise OSError(f"cannot listen on {host}, port {port}: {reason}") from error


def serve(app: Application, listening: socket.socket, url: str, browser: bool) -> None:
    """Serve `app` until it is interrupted; first print its address, and open it in a browser if `browser`."""
    listening.setblocking(False)

    async def run() -> None:
        server = HTTPServer(
            app, max_body_size=MOST_BYTES, body_timeout=PATIENCE, idle_connection_timeout=PATIENCE, xheaders=False
        )
        server.add_socket(listening)
        click.echo(f"Search by picture: {url} (Ctrl-C ends it)")
        if browser:
            Thread(target=webbrowser.open, args=(url,), daemon=True).start()  # a browser in the terminal would block
        await asyncio.Event().wait()

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        click.echo("\nended")


def url(host: str, port: int) -> str:
    """The address of the page for a browser on this machine."""
    name = "127.0.0.1" if host in WILDCARDS else f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/"
