"""Tokens that an exchange shows: 64-bit hashes of what accounts may share."""

import ipaddress

from streams.contracts.hashing import hash64
from streams.contracts.packets import CLIENT, DEVICE, MAIL, NETWORK, PAYMENT, SYSTEM, TEMPLATE
from streams.contracts.request import RequestEvent

CACHE_MAX = 1 << 17  # strings remembered with their hash; cleared when full (about 20 MB)
MODEL, COUNTRY = 64, 65  # shown to the account's own memory only, never sent


def generalise(address: str) -> str:
    """/24 of a dotted address, /48 of a colon address; an opaque hash stays as it is.

    >>> generalise("203.0.113.77"), generalise("2001:db8:1:2::3"), generalise("k:9f2c")
    ('203.0.113.0/24', '2001:db8:1::/48', 'k:9f2c')
    """
    if "." not in address and ":" not in address:
        return address
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return str(ipaddress.ip_network((ip, 24 if ip.version == 4 else 48), strict=False))


class TokenHashes:
    """Hash the strings of an event, with a memory of the common ones."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, str], int] = {}

    def get(self, kind: int, value: str | None) -> int:
        """Token of a string, 0 if it is not known."""
        if not value:
            return 0
        key = (kind, value)
        token = self._known.get(key)
        if token is None:
            text = generalise(value) if kind == NETWORK else value
            token = hash64(text.encode("utf-8", "surrogatepass"), seed=kind + 1) or 1
            if len(self._known) >= CACHE_MAX:
                self._known.clear()
            self._known[key] = token
        return token

    def infrastructure(self, event: RequestEvent) -> tuple[int, int, int, int, int, int, int]:
        """Network, client, payment, device, mail domain, model, country."""
        get = self.get
        network = client_token = country = payment = device = mail = 0
        if (client := event.client) is not None:
            network = get(NETWORK, client.ip)
            country = get(COUNTRY, client.country)
            if client.tls_fingerprint or client.user_agent:
                client_token = get(CLIENT, f"{client.tls_fingerprint or ''}\n{client.user_agent or ''}")
        if (identity := event.identity) is not None:
            payment = get(PAYMENT, identity.payment_fingerprint)
            device = get(DEVICE, identity.device_fingerprint)
            mail = get(MAIL, identity.email_domain)
        return network, client_token, payment, device, mail, get(MODEL, event.model), country

    def content(self, event: RequestEvent) -> tuple[int, int, int]:
        """Template, system prompt, SimHash (each 0 if not known)."""
        prompt = event.prompt
        if prompt is None:
            return 0, 0, 0
        template = hash64(prompt.template_hash.encode(), seed=TEMPLATE + 1) if prompt.template_hash else 0
        return template, self.get(SYSTEM, prompt.system_hash), int(prompt.simhash, 16) if prompt.simhash else 0
