"""Tell how well the fingerprint knows requests for reasoning and for grades that its lexicon was not learned from.

Usage::

    python -m streams.evaluate.wordings.exam

Prints shares of prompts with a score of 0.5 or more as Markdown: of the development set and the exam, and of the public
sets' prompts at odd places, which nothing was learned from either.
"""

from streams.contracts.fingerprint import fingerprint
from streams.evaluate.wordings import wordings
from streams.evaluate.wordings.learn import ASKING, ORDINARY
from streams.simulator.texts import corpus

KNOWN_SCORE = 0.5  # even odds


def shares(prompts: list[str]) -> tuple[float, float]:
    """Give the shares of prompts that are taken for a request for reasoning, and for grades."""
    found = [fingerprint(prompt) for prompt in prompts]
    asking = sum(each.reasoning_elicitation >= KNOWN_SCORE for each in found)
    return asking / len(found), sum(each.grading >= KNOWN_SCORE for each in found) / len(found)


def groups() -> dict[str, list[str]]:
    """Give the prompts of each row of the table."""
    found: dict[str, list[str]] = {}
    for name in ("development", "exam"):
        for wording in wordings(name):
            tongue = "English" if wording.language == "en" else "other languages"
            found.setdefault(f"{name}, {wording.purpose}, {tongue}", []).append(wording.prompt)
    return found | {name: list(corpus(name)[1::2]) for name in (*ASKING, *ORDINARY)}


def main() -> None:
    """Print the table."""
    print("| set | prompts | reasoning | grading |\n| --- | ---: | ---: | ---: |")
    for name, prompts in groups().items():
        reasoning, grading = shares(prompts)
        print(f"| {name} | {len(prompts):,} | {reasoning:.1%} | {grading:.1%} |")


if __name__ == "__main__":
    main()
