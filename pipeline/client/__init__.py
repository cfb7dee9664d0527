"""HTTP: the real API, and the hosts of images. The only importer of httpx and reqwest.

Requests go as `httpx.Request` straight to a transport, past httpx's own client and its pool, which
slows as connections grow. What that client would have done is done here, each in its file:
`address` (base url, proxies, certificates), `transport` (httpx's interface over reqwest), `pools`,
`wire` (one exchange: time-outs, size limits), `foreign` (the one place where errors of the
libraries become ours), `refusals` (the API's no), `answers` (its yes), `calls` (the calls
themselves, with the key), `images` (downloads, without it). HTTP/2 is not spoken: one connection
would carry everything, and one lost packet would hold all of it up.
"""

from pipeline.client.calls import Client
from pipeline.client.images import Hosts

__all__ = ["Client", "Hosts"]
