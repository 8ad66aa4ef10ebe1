"""Secrets, waits, proxies, certificates: what goes out and what is trusted."""

import socket
import ssl
import subprocess
import threading
import time
import traceback
from email.utils import formatdate

import pytest

from llmdecl.diagnostics import Failure
from llmdecl.sources.http.connections import proxy_of
from llmdecl.sources.http.patience import Patience, asked_wait_s, retry_after_s
from llmdecl.sources.http.problems import Trouble
from llmdecl.sources.http.reader import RangeReader
from llmdecl.sources.http.secret import Secret
from llmdecl.sources.http.slots import Slots
from llmdecl.sources.http.values import RemoteFile, Source, same_place, shown
from llmdecl.sources.http.web import redirected
from llmdecl.sources.pip import Stopped
from llmdecl.store.parts import MOST_PARTS, Pace
from tests.web.web_kit import impatient, random_bytes

WORD = "hf_AbCdEfVerySecret"


def test_secret_is_not_shown():
    """No text of a token, nor of a value that holds it, has it."""
    secret = Secret.bearer(f" {WORD}\n")
    source = Source("https://example.org/a", token=secret)
    assert f"Bearer {WORD}" == secret.reveal()
    for text in (repr(secret), str(secret), f"{secret}", repr(source)):
        assert WORD not in text


@pytest.mark.parametrize("text", ["", " \n", "a b", "a\nX-Evil: 1", "schlüssel", "a\0"])
def test_secret_that_no_header_takes(text):
    """A token that could break out of its header is refused, without saying it."""
    with pytest.raises(ValueError, match="token") as caught:
        Secret.bearer(text)
    assert not text.strip() or text.strip() not in str(caught.value)


def test_secret_in_no_failure(site, caplog):
    """Whatever fails with a token at hand, neither diagnostics, traceback nor log have it."""
    caplog.set_level(0)
    site.put("/a", b"x")
    token = Secret.bearer(WORD)
    faults = [{"status": s} for s in (401, 403, 404, 429, 500)]
    faults += [{"reset": True}, {"raw": b"nonsense\r\n\r\n"}, {"redirect": "gopher://x/"}]
    faults += [{"redirect": "http://[bad/"}, {"redirect": "http://127.0.0.1:1/x?sig=SIGNED"}]
    for fault in faults:
        site.heal()
        site.fault("/a", **fault)
        with pytest.raises(Failure) as caught:
            impatient().get(f"{site.url}/a?key=SIGNED", token=token, address="m")
        said = repr(caught.value.diagnostics)
        assert "LD4" in said
        assert "SIGNED" not in said
        assert WORD not in said
        assert WORD not in "".join(traceback.format_exception(caught.value))
    assert WORD not in caplog.text


def test_token_stays_at_home(site):
    """After a redirect to another host or port nobody gets the token or the source's cookies."""
    site.put("/b", b"there")
    site.fault("/a", redirect=f"{site.cdn_url}/b")
    site.fault("/c", redirect=f"{site.url}/b")
    web = impatient()
    headers = (("Cookie", "session=1"), ("X-Kind", "model"))
    for path in ("/a", "/c"):
        answer = web.get(site.url + path, headers=headers, token=Secret.bearer(WORD), address="m")
        assert answer.body == b"there"
    away, home = site.requests("/b")
    assert ("authorization" in away.headers, "cookie" in away.headers) == (False, False)
    assert away.headers["x-kind"] == "model"
    assert ("authorization" in home.headers, "cookie" in home.headers) == (True, True)


def test_netrc_is_not_read(site, tmp_path, monkeypatch):
    """A netrc that knows the host sends nothing by accident."""
    (tmp_path / ".netrc").write_text(f"default login me password {WORD}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    site.put("/a", b"x")
    impatient().get(f"{site.url}/a", address="m")
    assert "authorization" not in site.log[0].headers


@pytest.mark.parametrize(
    ("url", "location", "to"),
    [
        ("https://a.org/x/y?q#f", "z", "https://a.org/x/z"),
        ("https://a.org/x", "//b.org/z", "https://b.org/z"),
        ("https://a.org/x", "http://localhost/z", "http://localhost/z"),
        ("https://a.org/x", "http://b.org/z", None),
        ("http://a.org/x", "file:///etc/passwd", None),
        ("http://a.org/x", "http://b.org/\r\nX: y", None),
        ("http://a.org/x", "http://b.org:99999999/", None),
        ("http://a.org/x", "https:///z", None),
    ],
)
def test_redirected(url, location, to):
    """Relative ones are resolved; out of encryption and out of HTTP nobody is led."""
    if to is None:
        with pytest.raises(Trouble):
            redirected(url, location)
    else:
        assert to == redirected(url, location)


def test_places():
    """Scheme, host and port make a place; a URL is shown without query, user and fragment."""
    assert same_place("https://A.org/x", "https://a.org:443/y")
    assert not same_place("https://a.org/x", "http://a.org/x")
    assert not same_place("https://a.org/x", "https://a.org:444/x")
    assert not same_place("https://a.org/x", "https://a.org.evil.com/x")
    assert shown("https://u:p@a.org:1/x?sig=1#f") == "https://a.org:1/x"
    assert shown("https://[::1]:8/x") == "https://[::1]:8/x"
    assert "bad" not in shown("https://[bad/x")


def test_retry_after():
    """Seconds or a date; nonsense is as if it were not there."""
    now = 1_700_000_000.0
    assert 7.0 == retry_after_s(" 7 ", now)
    assert 90.0 == retry_after_s(formatdate(now + 90, usegmt=True), now)
    assert 0.0 == retry_after_s(formatdate(now - 90, usegmt=True), now)
    for text in (None, "soon", "-3", "", "1e9"):
        assert retry_after_s(text, now) is None


def test_asked_wait():
    """`RateLimit` counts with a 429 and nothing left; of several the longest does."""
    both = {"ratelimit": '"api";r=0;t=9, "resolvers"; r=0; t=55', "retry-after": "7"}
    assert 56.0 == asked_wait_s(429, both, 0.0)
    assert 7.0 == asked_wait_s(503, both, 0.0)
    assert 7.0 == asked_wait_s(429, both | {"ratelimit": '"api";r=10;t=55'}, 0.0)
    assert 7.0 == asked_wait_s(429, both | {"ratelimit": "r=0;t=" + "9" * 30}, 0.0)
    assert asked_wait_s(429, {}, 0.0) is None


def test_delays():
    """Waits double up to a bound, jitter over their upper half, and never undercut the server."""
    low, high = Patience(dice=lambda: 0.0), Patience(dice=lambda: 0.999)
    assert [0.25, 0.5, 1.0, 2.0] == [low.delay_s(tries) for tries in (1, 2, 3, 4)]
    assert 15.0 == low.delay_s(40)
    assert 29 < high.delay_s(40) < 30
    assert low.delay_s(1, 20.0) >= 20.0
    assert low.delay_s(1, 331.0) is None


def test_proxy(site, monkeypatch):
    """The proxy of the environment is asked, with its own password, but not for exempt hosts."""
    proxy = site.url.replace("http://", "http://me:p%40ss@")
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("no_proxy", "localhost")
    site.fault("far.example", status=200, body=b"through the proxy")
    web = impatient()
    assert web.get("http://far.example/x", address="m").body == b"through the proxy"
    (request,) = site.requests("far.example")
    assert Secret.basic("me", "p@ss").reveal() == request.headers["proxy-authorization"]
    assert proxy_of("http://localhost:1/x") is None
    site.put("/y", b"direct")
    assert web.get(f"{site.cdn_url}/y", address="m").body == b"direct"
    for wrong in ("socks5://127.0.0.1:1", "::", "http://[", "http://h:99999"):
        monkeypatch.setenv("http_proxy", wrong)
        with pytest.raises(Failure) as caught:
            web.get("http://far.example/x", address="m")
        assert "LD420" == caught.value.diagnostics[0].code
        assert "the proxy that the environment names" in caught.value.diagnostics[0].summary


@pytest.fixture
def encrypted(tmp_path):
    """A TLS server with a certificate of its own making; its URL and the certificate."""
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    argv = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    argv += ["-keyout", key, "-out", certificate, "-subj", "/CN=localhost"]
    argv += ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(argv, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    from tests.web.site_kit import Site

    site = Site()
    front = site._front
    front.socket = context.wrap_socket(front.socket, server_side=True)
    yield site, f"https://localhost:{front.server_address[1]}", certificate
    site.close()


def test_certificates(encrypted, monkeypatch):
    """A stranger's certificate is refused at once; one that `SSL_CERT_FILE` names is trusted."""
    site, url, certificate = encrypted
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    data = random_bytes(500_000)
    site.put("/a", data)
    web = impatient()
    with pytest.raises(Failure) as caught:
        web.get(f"{url}/a", address="m")
    assert "LD427" == caught.value.diagnostics[0].code
    assert not web.patience.sleep.asked
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert impatient().get(f"{url}/a", address="m").body == data
    with pytest.raises(Failure) as caught:
        impatient().get(url.replace("localhost", "127.0.0.1") + "/a", address="m")
    assert "LD427" == caught.value.diagnostics[0].code
    web = impatient()
    reader = RangeReader(web, web.look(Source(f"{url}/a"), address="m"), address="m")
    assert reader.read_at(7, 100_000) == data[7:100_007]


def test_nobody_there(site):
    """A closed port and an unknown name are tried less often than a server that answers."""
    for url in ("http://127.0.0.1:1/x", "http://no-such-host.invalid/x"):
        web = impatient()
        with pytest.raises(Failure) as caught:
            web.get(url, address="m")
        assert "LD420" == caught.value.diagnostics[0].code
        assert web.patience.connect_tries - 1 == len(web.patience.sleep.asked)


def test_body_bounds(site):
    """A page that is larger than it can be is refused after as much."""
    site.put("/a", random_bytes(300_000))
    web = impatient()
    with pytest.raises(Failure) as caught:
        web.get(f"{site.url}/a", address="m", max_bytes=100_000)
    assert "LD425" == caught.value.diagnostics[0].code
    assert web.bytes_received < 200_000


def test_no_json(site):
    """A captive portal's page is no JSON."""
    site.put("/a", b"<html>")
    site.fault("/a", headers={"Content-Type": "text/html; charset=utf-8"})
    with pytest.raises(Failure) as caught:
        impatient().get(f"{site.url}/a", address="m").json("m")
    assert "LD428" == caught.value.diagnostics[0].code
    assert ("it is an HTML page",) == caught.value.diagnostics[0].notes


def test_reader_without_ranges(site):
    """Where ranges are refused a reader takes what it needs from the start, within its bound."""
    data = random_bytes(400_000)
    url = site.put("/a", data, ranges=False)
    web = impatient()
    reader = RangeReader(web, web.look(Source(url), address="m"), address="m", max_bytes=300_000)
    assert reader.read_at(100, 1000) == data[100:1100]
    with pytest.raises(Failure) as caught:
        reader.read_at(350_000, 1000)
    assert "LD425" == caught.value.diagnostics[0].code


def test_reader_notices_change(site):
    """Two pieces of different versions are never put together."""
    url = site.put("/a", random_bytes(100_000))
    web = impatient()
    reader = RangeReader(web, web.look(Source(url), address="m"), address="m")
    reader.read_at(0, 100)
    site.put("/a", random_bytes(100_000))
    with pytest.raises(Failure) as caught:
        reader.read_at(100, 100)
    assert "LD426" == caught.value.diagnostics[0].code


def test_reader_of_linked_content(site):
    """Where a redirect says what the content is, that counts and no server's own ETag."""
    where = site.put("/content", random_bytes(100_000)).replace(site.url, site.cdn_url)
    one, other = ({"X-Linked-Etag": f'"{word * 64}"'} for word in "ab")
    front = site.fault("/a", redirect=where, headers=one)
    web = impatient()
    reader = RangeReader(web, web.look(Source(f"{site.url}/a"), address="m"), address="m")
    site.files["/content"].etag = '"of another server"'
    first = reader.read_at(0, 100)
    site.fault("/content", status=403, times=1)
    assert first == reader.read_at(0, 100)
    assert 2 == len(site.requests("/a")), "the redirect's target was refused, and asked for anew"
    front.headers = other
    with pytest.raises(Failure) as caught:
        reader.read_at(100, 100)
    assert "LD426" == caught.value.diagnostics[0].code


def test_slow_stream(site):
    """A stream that trickles counts as broken after a while, by the clock that is handed in."""
    site.put("/a", random_bytes(3000))
    site.fault("/a", pace_s=0.001, piece=10)
    seconds = iter(range(0, 10_000_000, 30))
    web = impatient(clock=lambda: float(next(seconds)), tries=2)
    with pytest.raises(Failure) as caught:
        web.get(f"{site.url}/a", address="m")
    assert "hardly moves" in caught.value.diagnostics[0].summary


def test_long_waits_are_said(site):
    """A wait that people would take for a standstill is said before it; a short one is not."""
    said = []
    web = impatient()
    web.on_wait = said.append
    site.put("/a", b"x")
    site.fault("/a", status=429, headers={"RateLimit": '"api";r=0;t=55'}, times=1)
    site.fault("/a", status=503, times=1)
    assert b"x" == web.get(f"{site.url}/a", address="m").body
    assert 1 == len(said)
    assert "asks to wait 56 s; goes on in 56 s" in said[0]


def test_stop_while_waiting(site):
    """Called off between two tries it ends at once."""
    site.fault("", status=503, retry_after="100")
    web = impatient(sleep=None)
    ended = threading.Event()

    def run():
        with pytest.raises(Stopped):
            web.get(f"{site.url}/a", address="m")
        ended.set()

    threading.Thread(target=run).start()
    while not site.log:
        time.sleep(0.001)
    web.stop()
    assert ended.wait(10)


def test_stop_while_connecting():
    """Called off while a connection is not made yet it ends at once."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        # the kernel takes one or two for a full queue, and leaves the others without an answer
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        web = impatient(connect_s=60.0)
        ended = threading.Event()

        def run():
            with pytest.raises(Stopped):
                web.get(f"http://127.0.0.1:{port}/a", address="m")
            ended.set()

        threading.Thread(target=run).start()
        while not web._sockets._open:
            time.sleep(0.001)
        assert not ended.wait(0.1)
        web.stop()
        assert ended.wait(10)
        for each in waiting:
            each.close()


def test_pace():
    """Ranges are added while each brings a tenth more, and one is taken back when it does not."""
    now = [0.0]
    pace, gained, running, seen = Pace(lambda: now[0]), 0, 1, []
    speed = {1: 10, 2: 20, 3: 30, 4: 31, 5: 31}
    for _ in range(8):
        now[0] += 1.0
        gained += speed[running] << 20
        running = pace.decide(running, gained, 1 << 40)
        seen.append(running)
    assert [2, 3, 4, 3, 3, 3, 3, 3] == seen
    quick = Pace(lambda: now[0])
    now[0] += 1.0
    assert 1 == quick.decide(1, 10 << 20, 15 << 20)
    assert MOST_PARTS > 1


def test_slots():
    """Connections are bounded over all downloads, and nobody is overtaken by a second range."""
    slots = Slots(1)
    assert slots.take(lambda: False)
    assert not slots.take_free()
    assert not slots.take(lambda: True)
    taken = threading.Event()
    thread = threading.Thread(target=lambda: slots.take(lambda: False) and taken.set())
    thread.start()
    while not slots.crowded:
        time.sleep(0.001)
    slots.give()
    thread.join(10)
    assert taken.is_set()


def test_validators():
    """A weak ETag tells no versions apart, and no date makes up for it."""

    def validator(etag, date):
        return RemoteFile(
            Source("http://x/"), "http://x/", 1, etag, date, accepts_ranges=True
        ).validator

    assert ['"a"', None, "date", None] == [
        validator('"a"', "date"),
        validator('W/"a"', "date"),
        validator(None, "date"),
        validator(None, None),
    ]
