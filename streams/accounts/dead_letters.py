"""Records that cannot be used, with the reason and where they came from."""

import base64
import hashlib

import msgspec

from streams.config import Settings
from streams.operator import DEAD_LETTERS, Record

KEY_MAX_BYTES = 512  # of the longest account id; with a larger key the record might not fit its topic

_encode = msgspec.json.Encoder(order="deterministic").encode


def dead_letter(
    settings: Settings, partition: int, offset: int, key: bytes | None, value: bytes | None, reason: str
) -> Record:
    """A dead-letter record: reason, origin and hash; the payload only if `dead_letters.keep_payload` is set.

    The key, an account id, stays unless it is longer than any of these.
    """
    topic = settings.kafka.requests_topic
    data = value or b""
    body: dict[str, object] = {
        "reason": reason,
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    if settings.dead_letters.keep_payload:
        body["payload_base64"] = base64.b64encode(data[: settings.accounts.max_event_bytes]).decode()
    headers = (
        ("content-type", b"application/json"),
        ("x-reason", reason.encode()),
        ("x-origin-topic", topic.encode()),
        ("x-origin-partition", str(partition).encode()),
        ("x-origin-offset", str(offset).encode()),
    )
    return Record(DEAD_LETTERS, None, key if len(key or b"") <= KEY_MAX_BYTES else None, _encode(body), headers)
