"""Learn what phrases say of a prompt's purpose, and write them to `streams/contracts/prompt_lexicon_learned.toml`.

Usage::

    python -m streams.evaluate.wordings.learn

Phrases of one to three words that occur in four training prompts get the weights that, on top of the phrases by hand,
part prompts that ask for reasoning (or grades) from all others: least squared hinge loss with an L2 penalty, a linear
support vector machine (Fan et al., LIBLINEAR, JMLR 2008) with its margins in the lexicon's own units. Phrases
that hardly matter are dropped, and the others learned once more. All other prompts are those written for it and every
other prompt of the simulator's public sets; the rest is for `exam`. Some seconds on one core.
"""

import json
import random
import re
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import minimize

from streams.contracts.fingerprint import edges
from streams.contracts.lexicon import CLASSES, FILES, Lexicon, Phrase, load_document, phrases_of, tables_of, words_of
from streams.contracts.prompt_chars import N_COUNTS
from streams.contracts.prompt_kernel import lexicon_sums
from streams.contracts.prompt_words import tokenize
from streams.evaluate.wordings import Purpose, Wording, wordings
from streams.simulator.texts import corpus

SEED = 20_262
PHRASE_WORDS = 3  # four find no more requests for reasoning of the development set, and name more of ordinary prompts
LEAST_PROMPTS = 4
LEAST_WEIGHT = 0.04
PENALTY = 12.0  # 20 knows a tenth fewer of the development set's requests, for a quarter fewer of the false ones
ORDINARY_WEIGHT = 6.0  # an ordinary prompt counts as six
ASKS_SUM, ORDINARY_SUM = 1.3, -0.1  # sums beyond these cost nothing; 0.69 is even odds
# Taken off every sum. With 0, 0.1, 0.2, 0.3 83, 77, 71, 68 of the development set's 100 English requests for reasoning
# are known, and 6.9, 4.6, 3.0, 1.9 % of the simulator's app templates pass for one: an app has one for all it sends.
CAUTION = {"reasoning": 0.3, "grading": 0.1}
CLASS_OF = {"reasoning": "elicitation", "grading": "grading"}

# How many prompts of a public set are learned from, of those at even places.
ORDINARY = {
    "arena_hard": 600, "awesome_prompts": 250, "banking77": 400, "bfcl_live": 400, "codegen": 400, "gsm8k": 400,
    "gsm8k_backward": 100, "oasst": 260, "roleplay": 300, "toolformer": 150, "user_oriented": 124, "webquestions": 400,
}  # fmt: skip
ASKING: dict[str, tuple[Purpose, int]] = {"flan_cot": ("reasoning", 300), "arena_pairs": ("grading", 40)}

HEAD = "# Written by `python -m streams.evaluate.wordings.learn`; do not edit. A sum above 0 adds to that by hand.\n"

_WORD = re.compile(r"[^\W\d_]+|\d+")
_SINGLE = re.compile(r"([\u3040-\u30ff\u3400-\u9fff\u0e00-\u0eff])")  # scripts without spaces: a character is a word


class Task(NamedTuple):
    """Prompts as rows of phrases: ``asks`` has who asks for it, ``by_hand`` the sums that the phrases by hand give."""

    rows: sparse.csr_matrix
    by_hand: NDArray[np.float64]
    asks: NDArray[np.bool_]


def learn() -> dict[str, dict[str, float]]:
    """Give class -> phrase -> weight from the training prompts."""
    written, learned = training()
    prompts = [wording.prompt for wording in learned]
    phrases = candidates(written)
    rows = occurrences(phrases, prompts)
    by_hand = sums_of(tables_of(phrases_of(load_document(FILES[0]))), len(CLASSES), prompts).toarray()
    document = {}
    for purpose, class_ in CLASS_OF.items():
        asks = np.array([wording.purpose == purpose for wording in learned])
        found = weights(Task(rows, by_hand[:, CLASSES.index(class_)], asks))
        found[-1] -= CAUTION[purpose]
        document[class_] = {
            phrase: round(float(weight), 2) for phrase, weight in zip(phrases, found, strict=True) if weight
        }
    return document


def training() -> tuple[list[Wording], list[Wording]]:
    """Give what phrases are taken from, and all that is learned from: the same, the public sets, and longer prompts."""
    written = wordings("training")
    learned = [*written]
    for name, count in ORDINARY.items():
        learned += [Wording("none", prompt) for prompt in corpus(name)[::2][:count]]
    for name, (purpose, count) in ASKING.items():
        learned += [Wording(purpose, prompt) for prompt in corpus(name)[::2][:count]]
    return written, learned + _longer(learned)


def _longer(prompts: list[Wording]) -> list[Wording]:
    """Make prompts that stand among others, since a long text has more phrases and asks for no more by that."""
    draw = random.Random(SEED)
    ordinary = [wording.prompt for wording in prompts if wording.purpose == "none"]
    longer = []
    for wording in prompts:
        if wording.purpose != "none" and draw.random() < 0.5:
            texts = [*draw.sample(ordinary, draw.choice((1, 2, 4)))]
            texts.insert(draw.choice((0, len(texts))), wording.prompt)
            longer.append(Wording(wording.purpose, "\n\n".join(texts)))
    longer += [Wording("none", "\n\n".join(draw.sample(ordinary, draw.choice((2, 3, 5, 10))))) for _ in ordinary]
    return longer


def candidates(prompts: list[Wording]) -> list[str]:
    """Give the phrases that occur in enough prompts, and the mark of a prompt's end, which every prompt has."""
    counted: Counter[str] = Counter()
    for wording in prompts:
        words = _WORD.findall(_SINGLE.sub(r" \1 ", re.sub("['’]", "", wording.prompt.lower())))
        words = ["0" if word[0].isdigit() else word for word in words]
        counted.update(
            {
                " ".join(words[start : start + count])
                for count in range(1, PHRASE_WORDS + 1)
                for start in range(len(words) - count + 1)
            }
        )
    found = {words_of(phrase).tobytes(): phrase for phrase, count in sorted(counted.items()) if count >= LEAST_PROMPTS}
    return [phrase for words, phrase in found.items() if words and not _SINGLE.fullmatch(phrase)] + ["|"]


def occurrences(phrases: list[str], prompts: list[str]) -> sparse.csr_matrix:
    """Give prompts x phrases as the fingerprint sees them: 1, half inside quotes and code, 0."""
    each = [Phrase(words_of(phrase), number, 1000) for number, phrase in enumerate(phrases)]
    return sums_of(tables_of(each), len(phrases), prompts)


def sums_of(tables: Lexicon, classes: int, prompts: list[str]) -> sparse.csr_matrix:
    """Give prompts x classes: the sums of the weights of the phrases that occur."""
    rows: list[sparse.csr_matrix] = []
    for prompt in prompts:
        data = edges(prompt)
        hashes, kinds = np.empty(len(data) + 2, np.uint64), np.empty(len(data) + 2, np.uint8)
        words = tokenize(data, len(data), hashes, kinds, np.zeros(N_COUNTS, np.int64))
        sums = np.zeros(classes, np.int64)
        lexicon_sums(hashes, kinds, words + 1, *tables, sums)
        rows.append(sparse.csr_matrix(sums / 1000.0))
    return sparse.vstack(rows, format="csr")


def weights(task: Task) -> NDArray[np.float64]:
    """Give the phrases' weights, 0 for those that hardly matter."""
    kept = np.abs(_fitted(task)) >= LEAST_WEIGHT
    result = np.zeros(task.rows.shape[1])
    result[kept] = _fitted(task._replace(rows=task.rows[:, kept]))
    return result


def _fitted(task: Task) -> NDArray[np.float64]:
    counts = np.where(task.asks, 1.0, ORDINARY_WEIGHT)
    signs = np.where(task.asks, -1.0, 1.0)
    bounds = np.where(task.asks, ASKS_SUM, ORDINARY_SUM)

    def loss(weight: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        beyond = np.maximum(0.0, signs * (task.by_hand + task.rows @ weight - bounds))
        slope = task.rows.T @ (2.0 * counts * signs * beyond)
        return float(counts @ beyond**2 + PENALTY * weight @ weight), slope + 2.0 * PENALTY * weight

    return minimize(loss, np.zeros(task.rows.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 200}).x


def main() -> None:
    """Write the learned phrases."""
    lines = [HEAD]
    for class_, phrases in learn().items():
        lines += [
            f"[learned.{class_}]",
            *(f"{json.dumps(phrase, ensure_ascii=False)} = {weight}" for phrase, weight in sorted(phrases.items())),
            "",
        ]
    Path(str(files("streams.contracts").joinpath(FILES[1]))).write_text("\n".join(lines), "utf-8")


if __name__ == "__main__":
    main()
