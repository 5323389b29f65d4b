"""Select the packaged texts and arrival patterns from a folder of public data sets.

Usage::

    python -m streams.simulator.corpus.build SOURCE_FOLDER [--out FOLDER]

``SOURCE_FOLDER`` holds one sub-folder per data set (names as in `TEXT_SOURCES`), each a gzipped file of JSON lines with
a ``prompt``, and ``servegen_clients`` and ``azure_llm_2023`` as CSV. Only sets whose licence allows redistribution are
read: Apache-2.0, MIT, CC0, CC BY 4.0 and ODC-BY. The result is deterministic: the same sources give the same bytes.
"""

import argparse
import csv
import gzip
import io
import json
import random
import re
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

SEED = 20_261
CLIENTS = 48  # of ServeGen's 205: enough shapes for an API population, 20 KB packed
TOKEN_PAIRS = 600  # of Azure's 28,185 (context, generated) pairs
HOURS_A_WEEK = 168
FOREIGN = ("zh", "ja", "ko", "pt", "es", "fr", "de")
MULTILINGUAL = ("arena_hard", "awesome_prompts", "oasst", "user_oriented", "bfcl_live")

# Anything that could name or reach a person, and key material that a scanner would trip over.
PRIVATE = re.compile(
    r"[\w.+-]+@[\w-]+\.\w+|\+?\d[\d ()-]{9,}\d|https?://\S+|(?i:api[_-]?key|password\s*[:=]|BEGIN [A-Z ]*KEY)"
)
UNFIT = re.compile(
    r"(?i)\b(?:sex\w*|porn\w*|nude|rape\w*|suicid\w*|nazi\w*|nsfw|erotic\w*|breast\w*|kill (?:my|him|her))\b"
)


class TextSource(NamedTuple):
    """One packaged file: where it comes from, how many prompts, cut to how many characters."""

    name: str
    path: str
    prompts: int
    chars: int
    keep: Callable[[dict[str, Any]], bool] = lambda row: True


def _task(*names: str) -> Callable[[dict[str, Any]], bool]:
    return lambda row: row["task"] in names


TEXT_SOURCES = (
    TextSource("webquestions", "human_webquestions/webquestions.jsonl.gz", 5_810, 300),
    TextSource("banking77", "human_banking77/banking77.jsonl.gz", 3_000, 400),
    TextSource("arena_hard", "human_arena_hard/arena_hard.jsonl.gz", 1_250, 700),
    TextSource("awesome_prompts", "human_awesome_prompts/awesome_prompts.jsonl.gz", 500, 500),
    TextSource("oasst", "human_oasst/oasst.jsonl.gz", 524, 600),
    TextSource("user_oriented", "human_user_oriented/user_oriented.jsonl.gz", 252, 700),
    TextSource("bfcl_live", "human_bfcl_live/bfcl_live.jsonl.gz", 1_500, 400),
    TextSource("gsm8k", "math_questions/gsm8k.jsonl.gz", 2_400, 600),
    TextSource("gsm8k_backward", "math_questions/gsm8k_backward.jsonl.gz", 300, 600),
    TextSource(
        "flan_cot", "distill_cot_templates/flan_cot.jsonl.gz", 1_600, 500, _task("aqua", "strategyqa", "qasc", "ecqa")
    ),
    TextSource("codegen", "distill_gpteacher/codegen.jsonl.gz", 1_600, 400),
    TextSource("roleplay", "distill_gpteacher/roleplay.jsonl.gz", 600, 400),
    TextSource("toolformer", "distill_gpteacher/toolformer.jsonl.gz", 900, 500),
    TextSource("arena_pairs", "grading_arena_hard/pairwise_requests.jsonl.gz", 160, 900),
)


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a gzipped JSON-lines file."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def pack(path: Path, data: bytes) -> int:
    """Write gzip without name or time in its header, so that equal data give equal files; return the size in bytes."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as out:
        out.write(data)
    path.write_bytes(buffer.getvalue())
    return len(buffer.getvalue())


def cut(text: str, chars: int) -> str:
    """Shorten at the last sentence or word end within the limit."""
    text = re.sub(r"[ \t]+", " ", text.replace("\r\n", "\n")).strip()
    if len(text) <= chars:
        return text
    head = text[:chars]
    end = max(head.rfind(". "), head.rfind("?"), head.rfind("\n"))
    return head[: end + 1].strip() if end > chars // 2 else head[: head.rfind(" ")].strip()


def select(source: TextSource, folder: Path) -> list[str]:
    """Choose the distinct, harmless prompts of one source, in the source's order."""
    found = dict.fromkeys(
        cut(row["prompt"], source.chars)
        for row in rows(folder / source.path)
        if source.keep(row) and not PRIVATE.search(row["prompt"]) and not UNFIT.search(row["prompt"])
    )
    texts = [text for text in found if len(text) >= 8]
    if len(texts) > source.prompts:
        chosen = sorted(random.Random(SEED).sample(range(len(texts)), source.prompts))
        texts = [texts[i] for i in chosen]
    return texts


def workflow(folder: Path) -> list[str]:
    """Cut what coding agents send after each tool call: issue texts, and the tails of observations."""
    found: dict[str, None] = {}
    runs: set[str] = set()
    for row in rows(folder / "workflow_traces/miniswe.jsonl.gz"):
        text, first = row["input"], row["run_id"] not in runs
        runs.add(row["run_id"])
        piece = cut(text[:900], 600) if first else text[-420:].partition("\n")[2]
        piece = re.sub(r"</?\w+>", " ", piece).strip()
        if len(piece) >= 40 and not PRIVATE.search(piece) and not UNFIT.search(piece):
            found[piece] = None
    return list(found)


def foreign(prompts: Iterable[str]) -> dict[str, list[str]]:
    """Sort sentences of prompts that are not English by language, told apart by the project's own fingerprint."""
    from streams.contracts.fingerprint import fingerprint

    found: dict[str, dict[str, None]] = {language: {} for language in FOREIGN}
    for text in prompts:
        if (language := fingerprint(text).language) in found:
            sentences = (sentence.strip()[:200] for sentence in re.split(r"(?<=[.?!。？！])\s*|\n+", text))
            found[language].update(dict.fromkeys(s for s in sentences if len(s) >= 6))
    return {language: list(sentences) for language, sentences in found.items()}


def clients(folder: Path) -> list[dict[str, Any]]:
    """Reduce ServeGen's clients to an hourly weekly shape, a burstiness, and token quantiles.

    ``shape`` has 168 integers, percent of the client's mean rate per hour of the week (0 = idle); ``cv`` is the median
    coefficient of variation of the gaps; ``input`` and ``output`` are the median p5, p25, p50, p75, p95, p99 in tokens.
    """
    result = []
    for model in ("m-large", "m-small"):
        windows = defaultdict(list)
        with gzip.open(folder / f"servegen_clients/{model}_client_windows.csv.gz", "rt") as lines:
            for row in csv.DictReader(lines):
                windows[int(row["client_id"])].append(
                    (
                        int(row["window_start_s"]),
                        float(row["rate_rps"]),
                        float(row["interarrival_cv"] or 1),
                        row["pattern"],
                    )
                )
        tokens = defaultdict(list)
        for row in rows(folder / f"servegen_clients/{model}_client_token_quantiles.jsonl.gz"):
            tokens[row["client_id"]].append(row)
        for client in sorted(set(windows) & set(tokens)):
            if len(windows[client]) < 500:  # of 2,016: seen for at least a quarter of the two weeks
                continue
            hours = [0.0] * HOURS_A_WEEK
            for start, rate, _, _ in windows[client]:
                hours[start // 3_600 % HOURS_A_WEEK] += rate
            mean = sum(hours) / HOURS_A_WEEK
            quantiles = {
                side: [
                    round(statistics.median(row[f"{side}_tokens"][p] for row in tokens[client]))
                    for p in ("p5", "p25", "p50", "p75", "p95", "p99")
                ]
                for side in ("input", "output")
            }
            result.append(
                {
                    "shape": [round(100 * hour / mean) for hour in hours],
                    "cv": round(statistics.median(w[2] for w in windows[client]), 2),
                    "law": statistics.mode(w[3] for w in windows[client]),
                    **quantiles,
                }
            )
    return [result[i] for i in sorted(random.Random(SEED).sample(range(len(result)), min(CLIENTS, len(result))))]


def token_pairs(folder: Path) -> dict[str, list[list[int]]]:
    """Sample (context, generated) token counts of the Azure coding and chat services, sorted."""
    pairs = {}
    for service in ("code", "conv"):
        with gzip.open(folder / f"azure_llm_2023/AzureLLMInferenceTrace_{service}.csv.gz", "rt") as lines:
            found = [[int(row["ContextTokens"]), int(row["GeneratedTokens"])] for row in csv.DictReader(lines)]
        pairs[service] = sorted(random.Random(SEED).sample(found, TOKEN_PAIRS))
    return pairs


def build(folder: Path, out: Path) -> dict[str, int]:
    """Write every packaged file and return its size in bytes by name."""
    sizes = {}
    mixed: list[str] = []
    for source in TEXT_SOURCES:
        texts = select(source, folder)
        if source.name in MULTILINGUAL:
            mixed += texts
        lines = "".join(json.dumps(text, ensure_ascii=False) + "\n" for text in texts)
        sizes[source.name] = pack(out / f"{source.name}.jsonl.gz", lines.encode())
    lines = "".join(json.dumps(text, ensure_ascii=False) + "\n" for text in workflow(folder))
    sizes["agent_steps"] = pack(out / "agent_steps.jsonl.gz", lines.encode())
    data = json.dumps(foreign(mixed), ensure_ascii=False, separators=(",", ":"))
    sizes["foreign"] = pack(out / "foreign.json.gz", data.encode())
    arrivals = {"clients": clients(folder), "tokens": token_pairs(folder)}
    sizes["arrivals"] = pack(out / "arrivals.json.gz", json.dumps(arrivals, separators=(",", ":")).encode())
    return sizes


def main() -> None:
    """Build from the command line and print the sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    sizes = build(arguments.source, arguments.out)
    for name, size in sizes.items():
        print(f"{size:>9,} bytes  {name}")
    print(f"{sum(sizes.values()):>9,} bytes  in all")


if __name__ == "__main__":
    main()
