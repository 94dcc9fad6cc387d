"""The app: the command, and one server as hostile pages, visitors and folders meet it, over HTTP alone."""

import asyncio
import http.client
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import webbrowser
from contextlib import closing
from urllib.parse import urlencode

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from qsmi_lib.cli import main
from qsmi_lib.config.profiles import PROFILES
from qsmi_lib.methods import METHODS
from qsmi_lib.search import app
from qsmi_lib.search.index.building import build
from qsmi_lib.search.index.index import Index
from qsmi_lib.search.index.sources import Vectors
from qsmi_lib.training.records import Store
from qsmi_lib.utils import paths

pytest.importorskip("faiss")
pytest.importorskip("tornado")
from tornado.httpclient import AsyncHTTPClient
from tornado.httpserver import HTTPServer

from qsmi_lib.search import server as http_server
from qsmi_lib.search.hosts import Hosts

GIVEN = {"dataset": "digits", "methods": ("lsh", "itq"), "bits": 8, "profile": "digits"}
PLANTED = ("numpy", "torch", "click", "tornado", "voila", "jupyter_config", "ipython_config", "sitecustomize")
SETTINGS = ("voila.json", "jupyter_config.json", "jupyter_server_config.json", "jupyter_voila_config.json")
ROUTES = (
    "/",
    "/answers",
    "/page.js",
    "/page.css",
    "/missing",
    "/api/kernels",
    "/api/contents",
    "/voila/static/voila.js",
)
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def served(monkeypatch):
    """What would have been served: each page, its address, and whether a browser opens."""
    calls = []
    monkeypatch.setattr(
        http_server, "serve", lambda made, listening, url, browser: calls.append((made.settings["page"], url, browser))
    )
    return calls


def call(*arguments, port=None):
    return CliRunner().invoke(main, ["app", "--no-browser", "--port", str(port or free_port()), *arguments])


def test_the_app_trains_what_it_needs_and_serves_it_to_this_machine(served):
    result = call("--method", "lsh", "--method", "itq", "--bits", "8", port=(port := free_port()))
    assert result.exit_code == 0, result.output
    [(page, url, browser)] = served
    assert url == f"http://127.0.0.1:{port}/" and not browser
    assert len(list(Store.of(PROFILES["digits"]).runs.glob("*.json"))) == 2
    assert [c.codes.shape[1] for c in page.collections.values()] == [8, 8] and "first" not in page.collections


def test_a_folder_is_searched_by_each_method(tmp_path):
    Image.radial_gradient("L").save(tmp_path / "grey.png")
    page = app.page(**GIVEN, folder=str(tmp_path), kind="hnsw")
    assert list(page.collections) == ["LSH", "ITQ"] and page.searched.kind == "hnsw"
    assert "grey.png" in page.html(1) and "no other picture" in page.answer(count="1", example="0")


NAMES = ["dark/0.png", "dark/<b>1.png", "dark/2.png", "light/3.png", "light/4.png", "light/5.png"]


class MeanHasher:
    """Codes of pictures by their mean, in place of a backbone's features."""

    side = None

    def fitted(self, image, name="the picture"):
        return image.resize((100, 100))

    def features(self, images):
        return np.ones((len(images), 6), np.float32)

    def codes(self, images):
        return np.array([np.where(np.arange(8) < image.getpixel((0, 0))[0] / 32, 1, -1) for image in images], np.int8)


@pytest.fixture
def indexed(tmp_path, monkeypatch):
    """A folder of six pictures, grey level 0 to 200, and its index."""
    for level, name in enumerate(NAMES):
        (tmp_path / "pictures" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (90, 60), (40 * level,) * 3).save(tmp_path / "pictures" / name)
    values = np.eye(6, dtype=np.float32) + np.arange(6)[:, None] // 3
    source = Vectors.of(tmp_path / "pictures", values, [name[:5].strip("/") for name in NAMES])
    source.kind, source.names = "pictures", NAMES
    monkeypatch.setattr("qsmi_lib.search.index.hashing.EPOCHS", 1)
    monkeypatch.setattr(Index, "pictures", MeanHasher())
    build(source, tmp_path / "pictures.index", bits=8)
    return tmp_path


def test_an_index_is_searched_from_its_held_out_pictures(indexed, served):
    result = call(str(indexed / "pictures.index"), "--index", "hnsw")
    assert result.exit_code == 0, result.output
    [(page, *_)] = served
    html = page.html(1)
    assert list(page.collections) == ["QSMI"] and page.searched.kind == "hnsw" and page.classes == ["dark", "light"]
    held_out = [row for row, item in enumerate(Index.load(indexed / "pictures.index").stored.items) if item.held_out]
    assert sorted(page.offered) == held_out and "pictures: 6 pictures with 2 labels" in html
    assert METHODS["qsmi"].about in html and "mAP of the held-out tenth" in html


def test_names_of_an_index_are_escaped(indexed):
    page = app.page_of_index(indexed / "pictures.index")
    html = page.html(1) + page.answer(count="6", content=(indexed / "pictures" / NAMES[1]).read_bytes(), name="<b>")
    assert "&lt;b&gt;1.png" in html and "<b>1" not in html and "Query: &lt;b&gt;" in html


def test_a_picture_of_an_index_that_leads_out_or_has_gone_is_not_shown(indexed):
    first, second = (indexed / "pictures" / name for name in NAMES[:2])
    outside = indexed / "outside.png"
    Image.new("RGB", (90, 60), "red").save(outside)
    first.unlink()
    first.symlink_to(outside)
    second.unlink()
    page = app.page_of_index(indexed / "pictures.index")
    html = page.answer(count="6", content=outside.read_bytes(), name="mine.png")
    assert html.count("no longer readable") == 2 and html.count("<img") == 2 + 4
    assert not {0, 1} & set(page.offered)
    for row, reason in enumerate(["leads out", "no dark/<b>1.png"]):
        with pytest.raises(FileNotFoundError, match=reason):
            page.searched.picture(row)


def test_without_its_pictures_an_index_still_answers(indexed):
    (indexed / "pictures").rename(indexed / "moved")
    page = app.page_of_index(indexed / "pictures.index")
    html = page.html(1)
    assert "no longer there" in html and "<fieldset hidden>" in html
    content = (indexed / "moved" / NAMES[5]).read_bytes()
    html = page.answer(count="6", content=content, name="mine.png")
    assert "5.png" in html and html.count("no longer readable") == 6


def test_an_index_that_cannot_be_shown_is_refused_in_one_line(tmp_path, served):
    (tmp_path / "empty").mkdir()
    Index.of_vectors(np.eye(8) + 1, output=tmp_path / "vectors.index", bits=4)
    for folder, message in {
        "empty": "holds no index",
        "vectors.index": "`qsmi search`",
        "missing": "holds no index",
    }.items():
        result = call(str(tmp_path / folder))
        assert result.exit_code and message in result.output.splitlines()[-1] and not served
    result = call(str(tmp_path / "empty"), "--method", "itq")
    assert result.exit_code == 2 and "leave out --method" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "qsmii"], "unknown method 'qsmii'; known"),
        (["--dataset", "digit_pairs"], "digit_pairs does not accept user images"),
        (["--bits", "0"], "0 is not in the range"),
        (["--folder", "missing"], "'missing' does not exist"),
        (["--folder", ".", "--method", "lsh", "--bits", "8"], "holds no readable picture"),
        (["--port", "70000"], "70000 is not in the range"),
        (["--index", "tree"], "'tree' is not one of"),
        (["--allow-host", "http://a.example"], "NAME:PORT"),
        (["--allow-host", "a.example/pictures"], "NAME:PORT"),
        (["--allow-host", ""], "NAME:PORT"),
        (["--host", ""], "--host must be"),
        (["--host", "192.0.2.1"], "cannot listen on 192.0.2.1"),
    ],
)
def test_bad_input_is_one_line(arguments, message, served, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call(*arguments)
    assert result.exit_code and message in result.output and "Traceback" not in result.output and not served


def test_a_port_in_use_is_named_before_anything_is_trained(served, trainings):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = call("--method", "dsh", port=port)
    assert result.exit_code == 1 and f"port {port}" in result.output and "--port" in result.output
    assert "Traceback" not in result.output and not served and not trainings


def test_without_tornado_it_says_what_to_install(monkeypatch, served):
    monkeypatch.setattr(app.importlib.util, "find_spec", lambda name: None)
    result = call("--method", "lsh", "--bits", "8")
    assert result.exit_code == 1 and 'pip install "qsmi-lib[app]"' in result.output and not served


@pytest.mark.parametrize(
    ("host", "url"), [("0.0.0.0", "http://127.0.0.1:1/"), ("::1", "http://[::1]:1/"), ("a.example", "http://a.example:1/")]
)  # fmt: skip
def test_the_browser_opens_an_address_of_this_machine(host, url, monkeypatch):
    opened, before = [], signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or os.kill(os.getpid(), 2))
    with http_server.listener("127.0.0.1", 0) as listening:
        http_server.serve(http_server.Application(), listening, http_server.url(host, 1), browser=True)
    signal.signal(signal.SIGINT, before)
    assert opened == [url]


class SlowPage:
    """A page whose search waits until `found` is set; it counts how often it is made."""

    def __init__(self):
        self.asked, self.found, self.n_made = threading.Event(), threading.Event(), 0

    def html(self, most_bytes):
        self.n_made += 1
        return "the page"

    def answer(self, **_):
        self.asked.set()
        assert self.found.wait(60)
        return "the answers"


def test_the_page_is_made_once_and_waits_for_no_search():
    page = SlowPage()

    async def visit(listening):
        port = listening.getsockname()[1]
        url = http_server.url("127.0.0.1", port)
        listening.setblocking(False)
        serving = HTTPServer(http_server.application(page, Hosts("127.0.0.1", port)))
        serving.add_socket(listening)
        client = AsyncHTTPClient()
        search = client.fetch(f"{url}answers?count=1", method="POST", body="", request_timeout=60)
        assert await asyncio.to_thread(page.asked.wait, 60)
        for _ in range(3):
            assert (await client.fetch(url)).body == b"the page"
        assert not search.done()
        page.found.set()
        assert (await search).body == b"the answers"
        serving.stop()

    with http_server.listener("127.0.0.1", 0) as listening:
        asyncio.run(visit(listening))
    assert page.n_made == 1


class Server:
    """A server of the app in a process of its own, which is started in `folder`."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        self.own = f"127.0.0.1:{self.port}"
        command = ["app", "--no-browser", "--port", str(self.port), "--allow-host", "pictures.example"]
        command += ["--method", "lsh", "--method", "itq", "--bits", "8"]
        environment = os.environ | {"PYTHONPATH": str(paths.ROOT), "QSMI_RESULTS": str(folder / "results")}
        environment |= {"JUPYTER_CONFIG_DIR": str(folder), "IPYTHONDIR": str(folder), "OMP_NUM_THREADS": "1"}
        self.output = folder / "output.txt"
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "qsmi_lib", *command], cwd=folder, env=environment, stdout=output, stderr=output
            )

    def wait(self):
        while self.process.poll() is None:
            try:
                return self.ask("GET", "/")
            except OSError:
                time.sleep(0.1)
        raise RuntimeError(f"the app has ended: {self.output.read_text()[-2000:]}")

    def ask(self, method, path, body=None, **headers):
        """Status and text of the answer; a header of value None is not sent, one of several values several times."""
        headers = {"Host": self.own} | {name.replace("_", "-"): value for name, value in headers.items()}
        if method == "POST":
            headers = {"Content-Length": str(len(body or b""))} | headers
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                for one in value if isinstance(value, list) else [value] if value is not None else []:
                    connection.putheader(name, one)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def search(self, content=b"", **arguments):
        return self.ask("POST", f"/answers?{urlencode({'count': 1, **arguments})}", content)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The app, started in a folder where each planted file would run code, or open the app to other machines."""
    folder = tmp_path_factory.mktemp("planted")
    for name in PLANTED:
        (folder / f"{name}.py").write_text(f"open({str(folder / 'ran')!r}, 'a').write({name!r})\nraise SystemExit(9)")
    for name in SETTINGS:
        elsewhere = {"ip": "0.0.0.0", "port": 1, "notebook_path": "planted.ipynb"}
        (folder / name).write_text(json.dumps({"Voila": elsewhere, "ServerApp": elsewhere}))
    started = Server(folder)
    try:
        started.wait()
        yield started
    finally:
        started.process.terminate()
        started.process.wait(timeout=60)


def test_no_file_of_the_current_folder_is_executed_or_obeyed(server):
    status, page = server.ask("GET", "/")
    assert status == 200 and "Search by picture" in page and not (server.folder / "ran").exists()
    for other in {address[4][0] for address in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}:
        if not other.startswith("127."):
            with closing(socket.socket()) as probe:
                assert probe.connect_ex((other, server.port)), f"the app listens on {other}"


@pytest.mark.parametrize("name", ["localhost:{}", "LOCALHOST:{}", "127.0.0.1:{}", "[::1]:{}", "pictures.example"])
def test_it_answers_to_its_own_names_and_to_allowed_ones(name, server):
    host = name.format(server.port)
    assert server.ask("GET", "/", Host=host)[0] == server.ask("GET", "/", Host=host, Origin=f"http://{host}")[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:{}", "localhost.evil.example:{}", "localhost", "localhost:1", "127.0.0.1"),
        *("0.0.0.0:{}", "evil@localhost:{}", "", None, ["localhost:{}", "evil.example:{}"]),
    ],
)  # fmt: skip
def test_every_route_refuses_every_other_host(host, server):
    named = [one.format(server.port) for one in host] if isinstance(host, list) else host and host.format(server.port)
    for path in ROUTES:
        assert server.ask("GET", path, Host=named)[0] in (400, 403), path
        assert server.ask("POST", path, b"", Host=named)[0] in (400, 403), path
        assert server.ask("GET", path, **UPGRADE, Host=named)[0] in (400, 403), path
    assert "Traceback" not in server.output.read_text()


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost:1", "https://localhost", "null"])
def test_every_route_refuses_pages_of_other_hosts(origin, server):
    for path in ROUTES:
        assert server.ask("POST", path, b"", Origin=origin)[0] == 403, path
        assert server.ask("GET", path, **UPGRADE, Origin=origin)[0] == 403, path


def test_another_page_may_link_to_it_but_not_embed_it(server):
    foreign = {"Sec_Fetch_Site": "cross-site"}
    assert server.ask("GET", "/", **foreign, Sec_Fetch_Dest="document")[0] == 200
    assert server.ask("GET", "/", **foreign, Sec_Fetch_Dest="iframe")[0] == 403
    assert server.ask("GET", "/page.js", **foreign, Sec_Fetch_Dest="script")[0] == 403


@pytest.mark.parametrize(
    "path",
    [
        *("/voila.json", "/results", "/numpy.py", "/../../../../etc/passwd", "/%2e%2e/etc/passwd", "//etc/passwd"),
        *("/voila/files/search.ipynb", "/voila/files/../../../../etc/passwd", "/voila/tree", "/files/etc/passwd"),
        *("/voila/render/planted.ipynb", "/voila/templates/../../etc/passwd", "/voila/static/../../../etc/passwd"),
        *("/api/contents", "/voila/api/contents", "/api/kernels", "/api/sessions", "/api/terminals", "/terminals/1"),
    ],
)  # fmt: skip
def test_no_file_is_served_and_no_kernel_started(path, server):
    for method in ("GET", "POST", "PUT", "DELETE"):
        status, text = server.ask(method, path, b"{}" if method == "POST" else None)
        assert 400 <= status < 500 and "root:" not in text


def test_no_socket_takes_code_of_a_visitor(server):
    kernel = "/api/kernels/00000000-0000-0000-0000-000000000000/channels"
    for path in (*ROUTES, kernel):
        assert server.ask("GET", path, **UPGRADE)[0] != 101


def tree(server):
    """Number of processes of the server, and their memory in GB."""
    psutil = pytest.importorskip("psutil")
    root = psutil.Process(server.process.pid)
    processes = [root, *root.children(recursive=True)]
    return len(processes), sum(process.memory_info().rss for process in processes) / 1e9


def test_eight_visits_cost_no_more_than_one(server):
    server.search(example=0)
    processes, memory = tree(server)
    for _ in range(8):
        with socket.create_connection(("127.0.0.1", server.port)) as given_up:
            given_up.sendall(f"GET / HTTP/1.1\r\nHost: {server.own}\r\n\r\n".encode())
        assert server.ask("GET", "/")[0] == server.search(example=1)[0] == 200
    now, more = tree(server)
    assert now <= processes and more < memory + 0.2


def test_a_picture_is_answered_and_a_wrong_file_refused_by_name(server):
    buffer = io.BytesIO()
    Image.radial_gradient("L").save(buffer, "PNG")
    status, text = server.search(buffer.getvalue(), name="mine.png", count=3)
    assert status == 200 and text.count("<img") == 2 + 2 * 3
    status, text = server.search(b"hello 100%", name="<script>50%.png")
    assert status == 422 and "&lt;script&gt;50%.png cannot be read as a picture" in text and 'role="alert"' in text
    assert server.search(example=99)[0] == 422


def query(server, size, content):
    """A connection that has announced a query of `size` bytes, and sent `content`."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=0.3)
    head = f"POST /answers?count=1&name=a HTTP/1.1\r\nHost: {server.own}\r\nContent-Length: {size}\r\n\r\n"
    connection.sendall(head.encode() + content)
    return connection


def status_line(connection):
    """The start of the answer; empty if there is none yet."""
    try:
        return connection.recv(64).split(b"\r\n")[0]
    except TimeoutError:
        return b""


def test_large_queries_wait_for_one_another_and_one_that_is_given_up_makes_room(server):
    with query(server, http_server.MOST_BYTES + 1, b"part") as larger:
        assert b"413" in status_line(larger)
    first, second = (query(server, http_server.MOST_BYTES, b"part") for _ in range(2))
    with query(server, 5, b"hello") as third:
        with first, second:
            query(server, http_server.MOST_BYTES, b"part").close()  # given up while it waits
            assert status_line(first) == status_line(second) == status_line(third) == b""
            assert server.search(example=0)[0] == 200
        third.settimeout(60)
        assert b"422" in status_line(third)
    with query(server, http_server.MOST_BYTES, b"part"):
        assert server.search(b"hello")[0] == 422  # there is room


def test_a_query_must_say_how_long_it_is(server):
    assert server.ask("POST", "/answers?count=1", b"", Transfer_Encoding="chunked", Content_Length=None)[0] in (
        400,
        411,
    )
