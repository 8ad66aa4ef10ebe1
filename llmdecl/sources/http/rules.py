"""The problems of talking to a web server: LD420 to LD439, part of the store's table."""

from llmdecl.diagnostics import Rule, Severity

WEB_UNREACHABLE = Rule(
    "LD420",
    "web-unreachable",
    Severity.ERROR,
    """The server can't be reached, or the connection broke and did not come back within the tries
that are made. Proxies are taken from `http_proxy`, `https_proxy` and `no_proxy`. What has arrived
of a download stays in the store, and the next run goes on from there.""",
)
WEB_NOT_FOUND = Rule(
    "LD421",
    "web-not-found",
    Severity.ERROR,
    """The server has nothing at this URL. A name may be misspelt, or the file was moved or deleted
since it was locked. `llmdecl lock --update NAME` looks again.""",
)
WEB_UNAUTHORISED = Rule(
    "LD422",
    "web-unauthorised",
    Severity.ERROR,
    """The server refuses without a token, or refuses the one that it got. A gated model wants its
terms accepted in a browser first, by the account that the token belongs to. A token is read from a
file or from the environment, is sent to the host that it is for and to no other, and is never
written anywhere.""",
)
WEB_RATE_LIMITED = Rule(
    "LD423",
    "web-rate-limited",
    Severity.ERROR,
    """The server answered that there were too many requests, and still did after waiting as long as
it asked for, within reason. Wait, or use a token: servers grant more to those they know.""",
)
WEB_SERVER_ERROR = Rule(
    "LD424",
    "web-server-error",
    Severity.ERROR,
    """The server answered with an error of its own, and still did after several tries. Run it again
later: what has arrived of a download stays in the store.""",
)
WEB_SIZE = Rule(
    "LD425",
    "web-size",
    Severity.ERROR,
    """An answer is larger or smaller than it can be: a page beyond its bound, a file whose size is
not the locked one, or a body without a length and without a digest to compare it with. Nothing of
it was kept.""",
)
WEB_CHANGED = Rule(
    "LD426",
    "web-changed",
    Severity.ERROR,
    """The file became another one while it was being downloaded: its ETag or size changed between
two requests, and still did when the download began anew. Nothing of it was kept.""",
)
WEB_CERTIFICATE = Rule(
    "LD427",
    "web-certificate",
    Severity.ERROR,
    """The server could not prove who it is. Certificates of the system are trusted, or those that
`SSL_CERT_FILE` and `SSL_CERT_DIR` name; a proxy that reads TLS needs its certificate there. A wrong
clock and an expired certificate look the same. There is no switch to go on without.""",
)
WEB_BAD_ANSWER = Rule(
    "LD428",
    "web-bad-answer",
    Severity.ERROR,
    """The server answered something that makes no sense here: no HTTP, no JSON where JSON was asked
for, redirects without an end, a redirect from `https:` to `http:`, an encoding nobody asked for.
A captive portal or a proxy may have answered in the server's stead.""",
)

RULES: tuple[Rule, ...] = (
    WEB_UNREACHABLE,
    WEB_NOT_FOUND,
    WEB_UNAUTHORISED,
    WEB_RATE_LIMITED,
    WEB_SERVER_ERROR,
    WEB_SIZE,
    WEB_CHANGED,
    WEB_CERTIFICATE,
    WEB_BAD_ANSWER,
)
