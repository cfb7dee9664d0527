"""The real API over HTTP: the only importer of httpx, httpx-aiohttp and aiohttp's client.

Requests go as `httpx.Request` straight to the aiohttp transport, past httpx's own client, which
halves the throughput. What that client would have done is done here, each in its file: `address`
(base url, proxies, certificates), `wire` (pools, time-outs, size limits), `foreign` (the one place
where errors of the libraries become ours), `refusals` (the API's no), `answers` (its yes), `calls`
(the calls themselves). HTTP/2 is not spoken: the transport does not offer it, and many short
requests over kept-alive connections measure faster with it than httpx's own HTTP/2.
"""

from pipeline.client.calls import Client

__all__ = ["Client"]
