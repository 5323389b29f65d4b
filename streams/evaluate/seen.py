"""Events as the baselines and the bound read them: decoded once, prompts as fingerprints."""

from typing import NamedTuple

from streams.contracts.fingerprint import fingerprint
from streams.contracts.request import Client, Identity, Prompt, Rejected, decode_request

EVENT_MAX_BYTES = 1 << 20
_NOBODY, _NOWHERE, _NOTHING = Identity(), Client(), Prompt()


class Seen(NamedTuple):
    """What can be seen of one exchange; empty strings and zeros are unknown."""

    time_ms: int
    account: str
    key: str  # API key, or else the account
    network: str  # /24 of IPv4, /48 of IPv6
    client: str  # program and TLS stack
    payment: str
    device: str
    mail: str
    system: str
    template: int
    head: int
    simhash: int
    elicitation: float
    grading: float
    topic: str
    input_tokens: int
    output_tokens: int
    model: str
    answered: bool


def see(line: bytes) -> Seen:
    """Decode one event of the simulator; raises ValueError for anything else."""
    event = decode_request(line, EVENT_MAX_BYTES)
    if isinstance(event, Rejected):
        raise ValueError(f"the simulator made an event that cannot be used: {event.reason}")
    client, identity, prompt = event.client or _NOWHERE, event.identity or _NOBODY, event.prompt or _NOTHING
    if prompt.text:
        taken = fingerprint(prompt.text)
        template, head, simhash, topic = taken.template_hash, taken.head_hash, taken.simhash, taken.topic
        elicitation, grading = taken.reasoning_elicitation, taken.grading
    else:
        template, head = int(prompt.template_hash or "0", 16), 0
        simhash, topic = int(prompt.simhash or "0", 16), prompt.topic or ""
        elicitation, grading = prompt.reasoning_elicitation or 0.0, prompt.grading or 0.0
    return Seen(
        event.event_time,
        event.account_id,
        event.api_key_id or event.account_id,
        network_of(client.ip or ""),
        f"{client.user_agent or ''}|{client.tls_fingerprint or ''}" if client.user_agent else "",
        identity.payment_fingerprint or "",
        identity.device_fingerprint or "",
        identity.email_domain or "",
        prompt.system_hash or "",
        template,
        head,
        simhash,
        elicitation,
        grading,
        topic,
        event.input_tokens,
        event.output_tokens,
        event.model,
        event.status // 100 == 2 and not event.refused,
    )


def network_of(ip: str) -> str:
    """Network that an address is in.

    >>> network_of("192.0.2.17"), network_of("2001:db8:5:1::9"), network_of("")
    ('192.0.2', '2001:db8:5', '')
    """
    return ":".join(ip.split(":")[:3]) if ":" in ip else ip.rpartition(".")[0]
