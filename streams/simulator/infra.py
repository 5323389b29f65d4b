"""Where accounts come from: countries, networks, client programs, mail domains and hashes.

Benign and hostile accounts draw from the same tables. Addresses are taken from ranges that no host can have
(240.0.0.0/4 and 2001:db8::/32), AS numbers are real ones of large operators, and weights are round estimates.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import xxhash

from streams.simulator.draws import Choice, one_of

encode_json = msgspec.json.Encoder().encode


class Country(NamedTuple):
    """A market: share of accounts, offset from UTC in hours, operators' AS numbers, and a language beside English."""

    code: str
    weight: float
    utc_offset_h: float
    home: tuple[int, ...]
    mobile: tuple[int, ...]
    campus: int
    language: str = "en"


COUNTRIES = (
    Country("US", 26, -5, (7922, 7018, 701, 20115, 22773), (21928, 6167, 20057), 87),
    Country("IN", 11, 5.5, (24560, 9829, 17488), (55836, 45609), 2697),
    Country("CN", 7, 8, (4134, 4837), (9808,), 4538, "zh"),
    Country("JP", 6, 9, (2516, 4713, 17676), (9605,), 2907, "ja"),
    Country("DE", 5, 1, (3320, 6830, 8881), (6805,), 680, "de"),
    Country("GB", 5, 0, (2856, 5607, 13285), (25135,), 786),
    Country("BR", 4.5, -3, (27699, 28573, 18881), (26599,), 1916, "pt"),
    Country("FR", 4, 1, (3215, 12322, 15557), (5410,), 2200, "fr"),
    Country("KR", 3.5, 9, (4766, 9318), (17858,), 1237, "ko"),
    Country("CA", 3, -5, (812, 6327, 577), (852,), 6509),
    Country("ID", 3, 7, (7713, 23700), (23693,), 38158),
    Country("SG", 2.5, 8, (9506, 4773), (3758,), 7472),
    Country("VN", 2.5, 7, (45899, 18403), (131429,), 24066),
    Country("ES", 2, 1, (3352, 12479), (12430,), 766, "es"),
    Country("IT", 2, 1, (3269, 30722), (16232,), 137),
    Country("NL", 2, 1, (1136, 33915), (31615,), 1103),
    Country("PL", 1.5, 1, (5617, 12912), (8374,), 8501),
    Country("TR", 1.5, 3, (9121, 34984), (16135,), 8517),
    Country("MX", 1.5, -6, (8151, 28403), (28469,), 278, "es"),
    Country("AU", 1.5, 10, (1221, 4764), (133612,), 7575),
    Country("TW", 1.5, 8, (3462,), (17421,), 1659, "zh"),
    Country("HK", 1.2, 8, (4760, 9304), (9269,), 3661, "zh"),
    Country("NG", 1, 1, (37148,), (29465,), 37230),
    Country("ZA", 0.8, 2, (5713,), (36994,), 2018),
    Country("IL", 0.8, 2, (8551, 12400), (1680,), 378),
    Country("SE", 0.7, 1, (3301,), (44034,), 1653),
)
country = Choice((c, c.weight) for c in COUNTRIES)

# (AS number, country of the region, weight): clouds that programs run on, and that VPN and proxy exits run on.
CLOUDS = (
    (16509, "US", 22), (16509, "DE", 6), (16509, "SG", 5), (16509, "JP", 3), (8075, "US", 12), (8075, "NL", 4),
    (15169, "US", 10), (15169, "SG", 2), (24940, "DE", 8), (14061, "US", 5), (14061, "SG", 2), (16276, "FR", 5),
    (20473, "US", 3), (20473, "JP", 2), (45102, "SG", 4), (37963, "CN", 3), (132203, "HK", 2), (63949, "US", 3),
)  # fmt: skip
_cloud = Choice(((asn, code), weight) for asn, code, weight in CLOUDS)

# Client programs by class: (user agent, TLS stack, weight). Version spread follows a few popular releases.
_CHROME = "Mozilla/5.0 ({os}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{v}.0.0.0 Safari/537.36{tail}"
_OS = ("Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7", "X11; Linux x86_64")


def _browsers() -> list[tuple[str, str, float]]:
    found = []
    for v, share in ((140, 5.0), (139, 2.5), (138, 1.0)):
        found += [
            (_CHROME.format(os=os, v=v, tail=""), "chrome", share * w) for os, w in zip(_OS, (6, 3, 1), strict=True)
        ]
        found.append((_CHROME.format(os=_OS[0], v=v, tail=f" Edg/{v}.0.0.0"), "chrome", share * 1.5))
    for v, share in ((143, 2.0), (142, 1.0)):
        found += [
            (f"Mozilla/5.0 ({os}; rv:{v}.0) Gecko/20100101 Firefox/{v}.0", "firefox", share * w)
            for os, w in zip(_OS, (2, 1, 1), strict=True)
        ]
    safari = "Mozilla/5.0 ({os}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{v} {tail}"
    found += [
        (safari.format(os=_OS[1], v=v, tail="Safari/605.1.15"), "safari", w) for v, w in (("18.6", 8.0), ("18.5", 4.0))
    ]
    return found


def _versions(name: str, stack: str, weight: float, versions: Sequence[str]) -> list[tuple[str, str, float]]:
    return [(name.format(v=v), stack, weight / (rank + 1)) for rank, v in enumerate(versions)]


AGENTS: dict[str, list[tuple[str, str, float]]] = {
    "web": _browsers(),
    "phone": [
        *_versions("AtlasApp/{v} (iPhone; iOS 18.6)", "ios", 6, ("5.14.2", "5.14.1", "5.13.0")),
        *_versions("AtlasApp/{v} (Android 15)", "okhttp", 6, ("5.14.2", "5.14.0", "5.12.3")),
    ],
    "sdk": [
        *_versions(
            "atlas-python/{v} (CPython 3.12; Linux)", "python", 9, ("2.8.1", "2.8.0", "2.6.4", "2.3.0", "1.99.2")
        ),
        *_versions("atlas-python/{v} (CPython 3.11; Linux)", "python", 6, ("2.8.1", "2.7.2", "1.99.2", "1.86.0")),
        *_versions("atlas-node/{v} (Node 22; Linux)", "node", 6, ("5.20.1", "5.19.0", "5.12.2", "4.104.0")),
        *_versions("python-requests/{v}", "python", 2, ("2.32.5", "2.32.3", "2.31.0")),
        *_versions("python-httpx/{v}", "python", 2, ("0.28.1", "0.27.2")),
        *_versions("axios/{v}", "node", 1.5, ("1.12.2", "1.7.9")),
        *_versions("okhttp/{v}", "okhttp", 1, ("4.12.0", "5.1.0")),
        ("Go-http-client/2.0", "go", 1.8),
        *_versions("Java-http-client/{v}", "java", 1, ("21.0.8", "17.0.16")),
        *_versions("curl/{v}", "openssl", 0.6, ("8.5.0", "8.15.0")),
    ],
    "harness": [
        *_versions("code-agent/{v} (cli; linux)", "node", 6, ("2.0.14", "2.0.11", "1.0.128")),
        *_versions("code-agent/{v} (cli; darwin)", "node", 6, ("2.0.14", "2.0.12", "1.0.128")),
        *_versions("vscode-assist/{v}", "electron", 4, ("0.31.2", "0.30.4")),
        *_versions("opencode/{v}", "bun", 2, ("0.15.8", "0.14.7")),
    ],
    "gateway": [
        *_versions("litellm/{v}", "python", 4, ("1.77.5", "1.76.0", "1.72.6")),
        *_versions("langchain-atlas/{v}", "python", 4, ("0.3.33", "0.3.28", "0.2.14")),
        *_versions("one-api/{v}", "go", 2, ("0.6.10", "0.6.9")),
        *_versions("llama-index/{v}", "python", 2, ("0.14.3", "0.13.6")),
    ],
}
_agent = {kind: Choice(((name, stack), weight) for name, stack, weight in rows) for kind, rows in AGENTS.items()}

MAIL_DOMAINS = (
    ("gmail.com", 52), ("outlook.com", 9), ("qq.com", 5), ("hotmail.com", 4), ("yahoo.com", 4), ("icloud.com", 5),
    ("163.com", 3), ("proton.me", 2), ("gmx.de", 1), ("naver.com", 1.5), ("yandex.ru", 1), ("mail.ru", 0.8),
    ("web.de", 0.7), ("live.com", 1.2), ("foxmail.com", 0.8), ("orange.fr", 0.5), ("aol.com", 0.5),
)  # fmt: skip
mail_domain = Choice(MAIL_DOMAINS)
_STEMS = (
    "north", "blue", "open", "data", "green", "swift", "clear", "core", "prime", "urban", "delta", "nova", "pixel",
    "river", "bright", "cloud", "stone", "solar", "metro", "quant", "vector", "harbor", "cedar", "atlas",
)  # fmt: skip
_ENDS = ("labs", "works", "soft", "systems", "media", "logic", "tech", "group", "studio", "health", "retail", "bank")
_TLDS = ("com", "com", "com", "io", "ai", "co", "net", "de", "co.uk", "in")

# Unknown shares of each field. Gateways differ in what they see; the same for every class of account.
UNKNOWN_TLS, UNKNOWN_ASN, UNKNOWN_COUNTRY, UNKNOWN_IP, UNKNOWN_AGENT = 0.12, 0.08, 0.04, 0.02, 0.03


class Network(NamedTuple):
    """One access network as the gateway sees it."""

    ip: str
    asn: int
    country: str


def _address(rng: np.random.Generator, asn: int, place: str, blocks: int) -> str:
    """Draw an address from an operator's ``blocks`` /24 networks in 240.0.0.0/4."""
    block = (xxhash.xxh64_intdigest(f"{asn}/{place}".encode()) + int(rng.random() ** 2 * blocks)) % (1 << 20)
    return f"{240 + (block >> 16)}.{block >> 8 & 255}.{block & 255}.{1 + int(rng.random() * 253)}"


def home(rng: np.random.Generator, where: Country) -> Network:
    """A household line; a quarter have IPv6, and neighbours of one operator may share a /24."""
    asn = where.home[int(rng.random() ** 1.5 * len(where.home))]
    if rng.random() < 0.25:
        return Network(f"2001:db8:{int(rng.integers(0x10000)):x}::{int(rng.integers(1, 0xFFFF)):x}", asn, where.code)
    return Network(_address(rng, asn, where.code, 12_000), asn, where.code)


def mobile(rng: np.random.Generator, where: Country) -> Network:
    """A carrier's shared exit: some dozens of /24 networks for a whole country."""
    asn = where.mobile[int(rng.random() * len(where.mobile))]
    return Network(_address(rng, asn, where.code, 48), asn, where.code)


def campus(rng: np.random.Generator, where: Country) -> Network:
    """A university's exit."""
    return Network(_address(rng, where.campus, where.code, 200), where.campus, where.code)


def region(rng: np.random.Generator) -> tuple[int, str]:
    """Draw a cloud region: AS number and country."""
    return _cloud(rng)


def cloud(rng: np.random.Generator, where: tuple[int, str] | None = None) -> Network:
    """An egress address of a cloud region, any by default."""
    asn, code = where or _cloud(rng)
    return Network(_address(rng, asn, code, 6_000), asn, code)


def vpn(rng: np.random.Generator) -> Network:
    """A public VPN's exit: a few hundred addresses in clouds, each shared by many unrelated people."""
    asn, code = _cloud(rng)
    return Network(_address(rng, asn, code + "/vpn", 12), asn, code)


def network(rng: np.random.Generator, kind: str, where: Country) -> Network:
    """Draw by kind: home, mobile, office, campus, cloud or vpn."""
    if kind == "mobile":
        return mobile(rng, where)
    if kind == "campus":
        return campus(rng, where)
    if kind == "cloud":
        return cloud(rng)
    if kind == "vpn":
        return vpn(rng)
    return home(rng, where)


def agent(rng: np.random.Generator, kind: str) -> tuple[str, str]:
    """Draw (user agent, TLS fingerprint) of a class of client program by popularity."""
    name, stack = _agent[kind](rng)
    build = int(rng.random() ** 2 * 4)  # the TLS library changes less often than the program
    digest = xxhash.xxh3_128_hexdigest(f"{stack}/{build}".encode())
    return name, f"t13d{1312 + build * 101}h2_{digest[:12]}_{digest[12:24]}"


def official_sdk(rng: np.random.Generator) -> tuple[str, str]:
    """Draw the program of a quick start: the provider's own SDK in one of its releases."""
    while not (found := agent(rng, "sdk"))[0].startswith("atlas-"):
        pass
    return found


def client(rng: np.random.Generator, where: Network, program: tuple[str, str]) -> bytes:
    """Encode the ``client`` member of an event, with fields left unknown at the common rates."""
    u = rng.random(5)
    members: dict[str, object] = {}
    if u[0] >= UNKNOWN_IP:
        members["ip"] = where.ip
    if u[1] >= UNKNOWN_ASN:
        members["asn"] = where.asn
    if u[2] >= UNKNOWN_COUNTRY:
        members["country"] = where.country
    if u[3] >= UNKNOWN_AGENT:
        members["user_agent"] = program[0]
    if u[4] >= UNKNOWN_TLS:
        members["tls_fingerprint"] = program[1]
    return encode_json(members)


def company_domain(rng: np.random.Generator) -> str:
    """Make up a company's own mail domain."""
    number = int(rng.integers(1, 1_000)) if rng.random() < 0.5 else ""
    return f"{one_of(rng, _STEMS)}{one_of(rng, _ENDS)}{number}.{one_of(rng, _TLDS)}"


def school_domain(rng: np.random.Generator) -> str:
    """Make up a school's mail domain."""
    return f"{company_domain(rng).partition('.')[0]}.edu"


def opaque(rng: np.random.Generator, prefix: str) -> str:
    """Make an identifier that says nothing about its owner."""
    return f"{prefix}{int(rng.integers(1 << 48)):012x}"
