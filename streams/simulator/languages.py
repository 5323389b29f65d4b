"""Prompts in other languages than English: real ones, with asides so that they differ."""

import functools
import gzip
from importlib import resources

import msgspec
import numpy as np

from streams.simulator.accounts import LANGUAGES
from streams.simulator.texts import vocabulary

# {a} and {b} are English words of the common vocabulary: mixed speech, as software people write it.
ASIDES = {
    "zh": ("这是关于 {a} 和 {b} 的。", "请重点说明 {a}。", "如果 {a} 改成 {b} 呢?", "共有 {n} 个 {a}。"),
    "ja": (
        "{a} と {b} についてです。",
        "{a} を中心にお願いします。",
        "{a} は {n} 件あります。",
        "{a} でも大丈夫ですか?",
    ),
    "ko": ("{a} 와 {b} 에 대해서요.", "{a} 위주로 부탁합니다.", "{a} 가 {n} 개 있습니다.", "{a} 도 가능한가요?"),
    "pt": ("É sobre {a} e {b}.", "Use {a} em vez de {b}.", "Temos {n} casos de {a}.", "E se {a} for {b}?"),
    "es": ("Se trata de {a} y {b}.", "Usa {a} en lugar de {b}.", "Hay {n} casos de {a}.", "¿Y si {a} es {b}?"),
    "fr": ("Il s'agit de {a} et {b}.", "Utilise {a} plutôt que {b}.", "Il y a {n} {a}.", "Et si {a} était {b} ?"),
    "de": ("Es geht um {a} und {b}.", "Bitte {a} statt {b}.", "Es gibt {n} mal {a}.", "Was, wenn {a} {b} ist?"),
}


@functools.cache
def pieces() -> dict[str, list[str]]:
    """Load sentences of the real prompts that are not English, by language."""
    packed = resources.files("streams.simulator.corpus").joinpath("foreign.json.gz").read_bytes()
    return msgspec.json.decode(gzip.decompress(packed), type=dict[str, list[str]])


def foreign(rng: np.random.Generator, language: np.ndarray) -> list[str]:
    """Compose one prompt for each language index: two or three real sentences and an aside."""
    words = vocabulary()
    u = rng.random((4, len(language))).tolist()
    many = rng.integers(1 << 30, size=(3, len(language))).tolist()
    result = []
    for i, number in enumerate(language.tolist()):
        name = LANGUAGES[number]
        real, asides = pieces()[name], ASIDES[name]
        a, b = words[int(u[0][i] ** 1.5 * len(words))], words[int(u[1][i] ** 1.5 * len(words))]
        aside = asides[many[0][i] % len(asides)].format(a=a, b=b, n=many[1][i] % 9_000)
        first, second = real[int(u[2][i] * len(real))], real[int(u[3][i] * len(real))]
        result.append(f"{first} {aside}" if many[2][i] % 3 else f"{aside} {first} {second}")
    return result
