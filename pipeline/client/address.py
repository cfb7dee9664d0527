"""Where the API is and which way leads there: base url, proxy, certificates.

Everything comes from the environment that is passed in, with one exception: what the system's
certificates are is found out below, where SSL_CERT_FILE and SSL_CERT_DIR of the process itself
count, as they do for most programs: they take the place of the system's.
"""

from __future__ import annotations

import ipaddress
import re
import ssl
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

import httpx

from pipeline import __version__
from pipeline.client.transport import usable_proxy
from pipeline.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_HOST = re.compile(rb"[A-Za-z0-9._:-]+")
_SHOWN = "https://api.example.com"
_PRIVATE_NAMES = (".localhost", ".local", ".internal", ".lan", ".test", ".home.arpa")


def base(text: str) -> httpx.URL:
    """Return the API's address, normalised: no trailing slash, no `/v1` that our paths bring.

    Raises `InputError` unless it is http or https with a host, without credentials, query or
    fragment. Plain http is refused for hosts on the open internet: everybody on the way could
    read the key. It is allowed on loopback, in private networks and for names that only a private
    network knows, where test servers and gateways live.
    """
    try:
        url = httpx.URL(text.strip())
        url.host.encode("idna")
    except (httpx.InvalidURL, UnicodeError, TypeError) as error:
        raise _wrong(f"the API's address {_shown(text)} is not a url: {error}") from None
    if url.scheme not in ("http", "https") or not _HOST.fullmatch(url.raw_host):
        raise _wrong(f"the API's address {_shown(text)} does not begin with https:// and a host")
    if url.userinfo:
        raise _wrong("the API's address holds credentials; the key belongs in APIMART_API_KEY")
    if url.query or url.fragment:
        raise _wrong(f"the API's address {_shown(text)} holds a query or a fragment")
    if url.scheme == "http" and not private(url.host):
        raise InputError(
            f"the API's address {_shown(text)} is plain http",
            why="The key would travel unencrypted: everybody on the way could read and spend it.",
            fix="Use https:\n  export APIMART_BASE_URL=" + str(url.copy_with(scheme="https")),
        )
    path = url.path.rstrip("/").removesuffix("/v1").rstrip("/")
    return url.copy_with(path=path or "/")


def agent() -> str:
    """Return what every request says of who it comes from."""
    return f"banana-batch/{__version__}"


def private(host: str) -> bool:
    """Say whether a host is this machine or one of a private network, by its look alone."""
    number = _number(host)
    if number is not None:
        return number.is_loopback or number.is_private or number.is_link_local
    name = host.lower().rstrip(".")
    return "." not in name or name.endswith(_PRIVATE_NAMES)


def key(text: str) -> str:
    """Return the key without surrounding white space. Raises `InputError` when it is none."""
    found = text.strip()
    if not found or not found.isascii() or not found.isprintable() or " " in found:
        raise InputError(
            "the API key is empty" if not found else "the API key holds characters no key has",
            fix="Set it to the key as the API's console shows it:\n  export APIMART_API_KEY=…",
        )
    return found


def proxy(url: str, environ: Mapping[str, str]) -> str:
    """Return the proxy for `url` by the usual variables, `""` to go directly.

    HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, in lower case or upper, the lower case first.
    NO_PROXY holds `*`, names (their subdomains included), `name:port`, addresses and networks.
    Loopback never goes through a proxy. Raises `InputError` for a proxy that is not http(s).
    """
    parts = urlsplit(url)
    found = _variable(environ, f"{parts.scheme}_proxy") or _variable(environ, "all_proxy")
    if not found or _direct(parts, _variable(environ, "no_proxy")):
        return ""
    if "://" not in found:
        found = f"http://{found}"
    try:
        parsed = httpx.URL(found)
        usable = parsed.scheme in ("http", "https") and bool(parsed.host) and usable_proxy(found)
    except (httpx.InvalidURL, UnicodeError):
        usable = False
    if not usable:
        raise InputError(
            "the proxy in the environment is not an http or https address",
            why=f"{parts.hostname} would be reached through it; SOCKS proxies are not supported.",
            fix="Mend HTTPS_PROXY, or name the host in NO_PROXY.",
        )
    return found


def certificates(environ: Mapping[str, str]) -> list[bytes]:
    """Return the certificates, in PEM, that vouch for servers besides those of the system.

    SSL_CERT_FILE and REQUESTS_CA_BUNDLE (a file or a folder) name them. Raises `InputError` when
    they, or SSL_CERT_DIR, name nothing that can be used.
    """
    named = environ.get("SSL_CERT_FILE") or environ.get("REQUESTS_CA_BUNDLE") or ""
    folders = environ.get("SSL_CERT_DIR") or ""
    try:
        if folders and not any(Path(part).is_dir() for part in folders.split(":")):
            raise FileNotFoundError(f"no such folder: {folders}")
        if not named:
            return []
        if Path(named).is_dir():
            return list(_folder(Path(named)))
        ssl.create_default_context(cafile=named)
        return [Path(named).read_bytes()]
    except (OSError, ValueError) as error:
        raise InputError(
            f"the certificates in {named or folders} cannot be used: {error}",
            why="Without them no server can be told from an impostor.",
            fix="Mend SSL_CERT_FILE, SSL_CERT_DIR or REQUESTS_CA_BUNDLE.",
        ) from error


def _folder(folder: Path) -> Iterator[bytes]:
    """Yield the contents of every file in a folder that is a certificate, or several."""
    for file in {one.resolve() for one in folder.iterdir()}:
        with suppress(OSError, ValueError):  # whatever else lies there is none of our business
            ssl.create_default_context(cafile=str(file))
            yield file.read_bytes()


def _wrong(summary: str) -> InputError:
    return InputError(summary, fix=f"Write it like this:\n  export APIMART_BASE_URL={_SHOWN}")


def _shown(text: str) -> str:
    """Return an address for a message, without what stands before an `@`."""
    scheme, separator, rest = text.strip().rpartition("://")
    return repr(f"{scheme}{separator}{rest.rpartition('@')[2]}"[:200])


def _variable(environ: Mapping[str, str], name: str) -> str:
    return (environ.get(name) or environ.get(name.upper()) or "").strip()


def _number(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _direct(url: SplitResult, exceptions: str) -> bool:
    host = (url.hostname or "").rstrip(".")
    number = _number(host)
    if host == "localhost" or (number is not None and number.is_loopback):
        return True
    port = str(url.port or {"http": 80, "https": 443}.get(url.scheme, 0))
    return any(
        _excepts(one.strip().lower(), host, port, number) for one in exceptions.split(",") if one
    )


def _excepts(
    rule: str, host: str, port: str, number: ipaddress.IPv4Address | ipaddress.IPv6Address | None
) -> bool:
    if rule == "*":
        return True
    if number is not None:
        try:
            return number in ipaddress.ip_network(rule, strict=False)
        except ValueError:
            pass
    name, _, wanted = rule.partition(":") if rule.count(":") == 1 else (rule, "", "")
    name = name.strip("[]").removeprefix("*").lstrip(".")
    return bool(name) and wanted in ("", port) and (host == name or host.endswith(f".{name}"))
