"""The calls of the API: what is sent, and which answer or error comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from pipeline import schema
from pipeline.client import address, answers, refusals
from pipeline.client.pools import Pools
from pipeline.client.text import Censor
from pipeline.client.wire import Wire
from pipeline.errors import ApiError, Refused, Rubbish, Unavailable, UnknownTask

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from pipeline.api import Accepted, Balance, Task, Uploaded
    from pipeline.client.wire import Answer, Body
    from pipeline.clock import Clock

_PIECE = 1 << 18
_WHOLE = 1 << 14
"""Bytes up to which a body goes out in one piece: it fits any socket's buffer and cannot stall."""


class Client:
    """Speaks to one API with one key. Implements `pipeline.api.Api`.

    Each call is one request. Nothing is sent twice and nothing waited out here; that is
    `retry.Patient`'s part. The key goes to the base url's own origin and nowhere else, and into
    no message.
    """

    def __init__(
        self,
        base_url: str,
        key: str,
        *,
        timeouts: Mapping[str, float],
        connections: int,
        clock: Clock,
        environ: Mapping[str, str],
    ) -> None:
        """Prepare; nothing is opened yet.

        `timeouts` are seconds for `connect`, `read`, `write` and `pool`; `connections` bounds
        each pool. Proxies and certificates are taken from `environ`. Raises `InputError` for a
        base url, key, proxy or certificate that cannot be used.
        """
        self._base = str(address.base(base_url)).rstrip("/")
        self._censor = Censor(secret := address.key(key))
        self._clock = clock
        address.proxy(self._base, environ)  # a wrong one is told now, not by the first request
        self._pools = Pools(timeouts=timeouts, connections=connections, environ=environ)
        host = urlsplit(self._base).hostname or ""
        self._wire = Wire(self._pools, host=host, censor=self._censor, timeouts=timeouts)
        self._asking = [
            ("User-Agent", address.agent()),
            ("Accept-Encoding", "identity"),
            ("Accept", "application/json"),
            ("Authorization", f"Bearer {secret}"),
        ]
        self._sending = [*self._asking, ("Content-Type", "application/json")]
        self._key_header: str = schema.api("idempotency", "header")
        paths: dict[str, str] = schema.api("paths")
        self._submit_url = self._base + paths["submit"]
        self._upload_url = self._base + paths["upload"]
        self._balance_url = self._base + paths["balance"]
        self._model_url = self._base + paths["model_schema"]
        before, _, after = paths["task"].partition("{task_id}")
        self._task_url = (self._base + before, f"{after}?language={schema.api('language')}")

    @property
    def host(self) -> str:
        """The API's address as the state file keeps it: normalised, without a trailing slash."""
        return self._base

    # ── the calls ───────────────────────────────────────────────────────────────────────────

    async def submit(self, body: bytes, key: str) -> Accepted:
        """Send `body`, unchanged, under the idempotency key `key`, once."""
        headers = [*self._sending, (self._key_header, key)]
        content: bytes | Body = body
        if len(body) > _WHOLE:
            headers.append(("Content-Length", str(len(body))))
            content = self._wire.body(_slices(body))
        answer = await self._wire.exchange("POST", self._submit_url, headers, content)
        document = self._document(answer, paying=True)
        replayed = answer.headers.get("idempotency-replayed", "").strip().lower() == "true"
        return answers.accepted(document, self._censor, replayed=replayed)

    async def look(self, task_id: str) -> Task:
        """Ask for a task's state, once."""
        if not answers.TASK_ID.fullmatch(task_id):
            raise UnknownTask("what should be a task id is none", why="Nothing was asked.")
        url = task_id.join(self._task_url)
        answer = await self._wire.exchange("GET", url, self._asking)
        if answer.status in (404, 410):
            error = self._refusal(answer)
            if not _said_by_the_api(answer):
                raise Unavailable(
                    f"something before the API answered {answer.status}: {error.summary}",
                    why="The API itself says in JSON when it does not know a task.",
                    code=answer.status,
                )
            raise UnknownTask(
                "the API does not know this task any more",
                why=error.summary,
                kind=error.kind,
                code=answer.status,
            )
        return answers.task(self._document(answer), task_id, self._censor)

    async def upload(self, path: Path, media_type: str) -> Uploaded:
        """Send the file at `path` as a stream, under a name of our own. Raises `Refused` when it
        cannot be read."""
        name = f"reference.{media_type.rpartition('/')[2]}"
        boundary = f"banana-batch-{self._clock.monotonic():.6f}-{id(path):x}"
        head = (
            f"--{boundary}\r\n"
            f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n'
            f"Content-Type: {media_type}\r\n\r\n"
        ).encode("ascii")
        tail = f"\r\n--{boundary}--\r\n".encode("ascii")
        try:
            size = path.stat().st_size
            with path.open("rb") as file:
                unread: list[OSError] = []
                pieces = _parts(head, file, tail, unread)
                headers = [
                    *self._asking,
                    ("Content-Type", f"multipart/form-data; boundary={boundary}"),
                    ("Content-Length", str(len(head) + size + len(tail))),
                ]
                try:
                    answer = await self._wire.exchange(
                        "POST", self._upload_url, headers, self._wire.body(pieces)
                    )
                except ApiError:
                    if unread:  # it broke off on this side
                        raise unread[0] from None
                    raise
        except OSError as error:
            raise Refused(
                f"the reference image {path} cannot be read: {error.strerror or error}",
                fix="Put it back, then run again.",
            ) from error
        return answers.uploaded(self._document(answer), self._censor)

    async def balance(self) -> Balance:
        """Ask how much money the account has, once."""
        answer = await self._wire.exchange("GET", self._balance_url, self._asking)
        return answers.balance(self._document(answer))

    async def model_schema(self, name: str) -> dict[str, Any]:
        """Ask for the JSON Schema of a model's requests, once.

        What comes is a plain object of bounded size and depth, and no more is promised: whoever
        uses it has to hold it against a rule. Raises `Refused` when the API knows no such model.
        """
        url = f"{self._model_url}?model={quote(name, safe='')}"
        answer = await self._wire.exchange("GET", url, self._asking)
        return answers.model_schema(self._document(answer), self._censor)

    async def close(self) -> None:
        """Let go of every connection."""
        await self._pools.close()

    # ── what an answer is ───────────────────────────────────────────────────────────────────

    def _document(self, answer: Answer, *, paying: bool = False) -> Any:
        """Return the JSON of a success. `paying`: a no that names no reason settles nothing."""
        if not 200 <= answer.status < 300:
            raise self._refusal(answer)
        document = answers.parse(answer.body)
        if refusals.complains(document):
            said = refusals.complaint(document, self._censor)
            status = said.status or (answer.status if paying else 400)
            wait = refusals.retry_after(answer.headers, self._clock.now())
            raise refusals.refusal(status, said, wait)
        return document

    def _refusal(self, answer: Answer) -> ApiError:
        try:
            said = refusals.complaint(answers.parse(answer.body), self._censor)
        except Rubbish:
            said = refusals.unreadable(answer.body, self._censor)
        wait = refusals.retry_after(answer.headers, self._clock.now())
        location = self._censor.plain(answer.headers.get("location"), 200)
        return refusals.refusal(answer.status, said, wait, location)


def _said_by_the_api(answer: Answer) -> bool:
    """Whether a refusal is the API's own, and not some gateway's page."""
    try:
        return refusals.complains(answers.parse(answer.body))
    except Rubbish:
        return False


async def _slices(body: bytes) -> AsyncGenerator[bytes, None]:
    for start in range(0, len(body), _PIECE):
        yield body[start : start + _PIECE]


async def _parts(
    head: bytes, file: BinaryIO, tail: bytes, unread: list[OSError]
) -> AsyncGenerator[bytes, None]:
    """Yield a body piece by piece. What reading the file fails with is also put into `unread`."""
    yield head
    try:
        while piece := file.read(_PIECE):
            yield piece
    except OSError as error:
        unread.append(error)
        raise
    yield tail
