"""The public data sets that are read: where each lies in the data folder, and how a row becomes a request.

Every reader yields requests in the file's order. The folder names are those of the table `SETS`; a set that is not
there is left out by the caller.
"""

import gzip
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import xxhash

from streams.errors import InputError

SEED = 20_260  # of the tasks sampled for generator templates: the same requests in every run
GENERATED = 4_000  # requests made from each generator template


class Request(NamedTuple):
    """One request: what was asked, and what is known of the answer's length in characters (0: nothing)."""

    text: str
    system: str | None = None  # hash of the system prompt
    answer_chars: int = 0


Role = Literal["campaign", "people", "business", "workflow"]


class PromptSet(NamedTuple):
    """A set of prompts and the part it plays."""

    name: str
    role: Role
    files: tuple[str, ...]  # relative to the data folder
    read: Callable[[Path], Iterator[Request]]
    what: str

    def missing(self, folder: Path) -> list[str]:
        """Name the files that are not there."""
        return [name for name in self.files if not (folder / name).is_file()]


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a gzipped JSON-lines file; raise `InputError` if it is something else."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{path} is no gzipped file of JSON lines: {error}") from None


def prompt_of(row: dict[str, Any], path: Path) -> str:
    """Give a row's prompt; raise `InputError` if it has none."""
    if not isinstance(prompt := row.get("prompt"), str):
        raise InputError(f"{path} has a row without the text field 'prompt'")
    return prompt


def _prompts(file: str) -> Callable[[Path], Iterator[Request]]:
    def read(folder: Path) -> Iterator[Request]:
        for row in rows(folder / file):
            if (text := prompt_of(row, folder / file)).strip():
                yield Request(text, None, int(row.get("response_chars", 0)))

    return read


_GSM8K = "math_questions/gsm8k.jsonl.gz"
_TEMPLATES = "distill_generator_templates/"


def _gsm8k_cot(folder: Path) -> Iterator[Request]:
    """Every second question, in the template of zero-shot chain of thought (arXiv 2205.11916)."""
    for number, row in enumerate(rows(folder / _GSM8K)):
        if number % 2 == 0:
            yield Request(f"Q: {prompt_of(row, folder / _GSM8K)}\nA: Let's think step by step.")


METAMATH = {
    "metamath_ansaug_cot_gsm8k.txt": "\n\nQuestion: {}\nA: Let's think step by step.\n",
    "metamath_rephrase_cot_gsm8k.txt": "\n\nQuestion: {}\nRephrase the above question:",
    "metamath_sv_cot_gsm8k.txt": "\n\nQuestion: {}\nA: Let's think step by step.\n",
    "metamath_fobar_cot_gsm8k.txt": "\n\nQuestion: {}\nA: Let's think step by step.\n",
}


def _metamath(folder: Path) -> Iterator[Request]:
    """The other questions, behind the few-shot prompts that MetaMath's authors sent, in turn."""
    shots = [(_text(folder / (_TEMPLATES + name)).rstrip(), end) for name, end in METAMATH.items()]
    for number, row in enumerate(rows(folder / _GSM8K)):
        if number % 2:
            shot, end = shots[number // 2 % len(shots)]
            yield Request(shot + end.format(prompt_of(row, folder / _GSM8K)))


def _generator(prompt: str, seeds: str) -> Callable[[Path], Iterator[Request]]:
    def read(folder: Path) -> Iterator[Request]:
        """Three sampled seed tasks behind the batch prompt, as the Self-Instruct collectors sent it."""
        opening = _text(folder / (_TEMPLATES + prompt)).rstrip()
        tasks = [json.loads(line) for line in _text(folder / (_TEMPLATES + seeds)).splitlines()]
        rng = random.Random(SEED)
        for _ in range(GENERATED):
            text = opening + "\n"
            for number, task in enumerate(rng.sample(tasks, 3), 1):
                example = task["instances"][0]
                text += f"###\n{number}. Instruction: {' '.join(task['instruction'].split()).rstrip(':')}\n"
                text += f"{number}. Input:\n{example['input'] or '<noinput>'}\n{number}. Output:\n{example['output']}\n"
            yield Request(text + "###\n4. Instruction:")

    return read


_GRADING = ("grading_arena_hard/pairwise_requests.jsonl.gz", "grading_arena_hard/system_prompt.txt")


def _grading(folder: Path) -> Iterator[Request]:
    system = xxhash.xxh3_64_hexdigest(_text(folder / _GRADING[1]).encode())
    for row in rows(folder / _GRADING[0]):
        yield Request(prompt_of(row, folder / _GRADING[0]), system)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}") from None


def _plain(name: str, role: Role, file: str, what: str) -> PromptSet:
    return PromptSet(name, role, (file,), _prompts(file), what)


def _steps(name: str, file: str, what: str) -> PromptSet:
    """A trace of programs: `streams.convert.traces.workflow` reads it, with its times."""
    return PromptSet(name, "workflow", (file,), lambda folder: iter(()), what)


def _generated(name: str, prompt: str, seeds: str, what: str) -> PromptSet:
    return PromptSet(name, "campaign", (_TEMPLATES + prompt, _TEMPLATES + seeds), _generator(prompt, seeds), what)


_LAW = "distill_lawyer_llama/"
_METAMATH = (_GSM8K, *(_TEMPLATES + name for name in METAMATH))

SETS = (
    _plain("flan_cot", "campaign", "distill_cot_templates/flan_cot.jsonl.gz", "questions with reasoning triggers"),
    _plain("toolformer", "campaign", "distill_gpteacher/toolformer.jsonl.gz", "GPT-4 distillation: tool use"),
    _plain("codegen", "campaign", "distill_gpteacher/codegen.jsonl.gz", "GPT-4 distillation: code"),
    _plain("roleplay", "campaign", "distill_gpteacher/roleplay.jsonl.gz", "GPT-4 distillation: role play"),
    _plain("code_alpaca", "campaign", "distill_codealpaca/code_alpaca_2k.jsonl.gz", "self-instruct code"),
    _plain("judicial_exam_cot", "campaign", _LAW + "judicial_exam_cot.jsonl.gz", "exam with reasoning asked for (zh)"),
    _plain("exam_gpt4", "campaign", _LAW + "exam_gpt4.jsonl.gz", "exam questions (zh)"),
    _plain("legal_advice", "campaign", _LAW + "legal_advice.jsonl.gz", "human forum questions sent on (zh)"),
    PromptSet("gsm8k_cot", "campaign", (_GSM8K,), _gsm8k_cot, "school mathematics, zero-shot chain of thought"),
    PromptSet("metamath", "campaign", _METAMATH, _metamath, "school mathematics behind four few-shot prompts"),
    _generated("alpaca", "alpaca_prompt.txt", "alpaca_seed_tasks.jsonl", "self-instruct batch prompts"),
    _generated("codealpaca", "codealpaca_prompt.txt", "codealpaca_seed_tasks.jsonl", "the same for code"),
    PromptSet("arena_pairs", "campaign", _GRADING, _grading, "judge these two answers, with a system prompt"),
    _plain("arena_hard", "people", "human_arena_hard/arena_hard.jsonl.gz", "chat and coding"),
    _plain("awesome_prompts", "people", "human_awesome_prompts/awesome_prompts.jsonl.gz", "look templated"),
    _plain("oasst", "people", "human_oasst/oasst.jsonl.gz", "chat"),
    _plain("user_oriented", "people", "human_user_oriented/user_oriented.jsonl.gz", "tasks by app"),
    _plain("webquestions", "people", "human_webquestions/webquestions.jsonl.gz", "typed into a search box"),
    _plain("bfcl_live", "people", "human_bfcl_live/bfcl_live.jsonl.gz", "requests with tools"),
    _plain("banking77", "business", "human_banking77/banking77.jsonl.gz", "one bank that relays its customers"),
    _steps("miniswe", "workflow_traces/miniswe.jsonl.gz", "coding agents, one account a run"),
    _steps("taubench", "workflow_traces/taubench.jsonl.gz", "service agents, one account a run"),
)
