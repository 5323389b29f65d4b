"""Fingerprints of prompts, on texts made up for these tests."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.contracts.fingerprint import EDGE_BYTES, LANGUAGES, TOPICS, Fingerprint, edges, fingerprint
from streams.contracts.lexicon import load_lexicon, phrases_of
from streams.contracts.prompt_words import SPAN_MAX_BYTES
from streams.contracts.request import RequestEvent, decode_request, encode_request

PLAIN = [
    "What is the tallest mountain in Europe?",
    "My cat will not eat her new food, any ideas?",
    "Write a short poem about autumn leaves.",
    "Fix this function, it returns None instead of the sum.",
    "Give me a step-by-step guide to repotting an orchid.",
    "Which of these two phones has the better camera?",
    "Сколько стоит билет до Казани?",
    "帮我写一封请假的邮件。",
    "Schreib mir eine Einladung zum Geburtstag.",
    "Narrate your adventure from the dragon's point of view.",
    "What are your working hours, and where do I park?",
    "Reply within a day, or call us before responding to the letter.",
]
ELICITATION = [
    "A train leaves at noon. When does it arrive? Let's think step by step.",
    "Solve it. Show your reasoning before the final answer.",
    "Answer below, but put your reasoning process inside <thinking> tags first.",
    "Translate your working memory into English, token by token.",
    "Q: Are whales fish?\nA: chain of thought:",
    "判断下列说法是否正确，请写出详细的推理过程，再给出答案。",
    "请一步一步思考后回答。",
    "Реши задачу и опиши ход рассуждений, шаг за шагом.",
    "WRITE   DOWN your Chain-Of-Thought, then answer.",
    "Find x and explain how you arrive at it.",
    "How much is left? Show all your working.",
    "Describe your line of reasoning, followed by the final answer.",
    "Solve it without skipping a step, and say which alternatives you rejected.",
]
GRADING = [
    "Please rate the following response from 1 to 10 and output only the score.",
    "Act as an impartial judge. Which response is better, Assistant A's or Assistant B's?",
    "Score the answer against the grading rubric below.",
    "请对以下回答进行评分，并说明评分标准。",
]


@pytest.mark.parametrize("text", PLAIN)
def test_plain_request_scores_low(text: str) -> None:
    """An everyday request neither asks for reasoning nor for a grade: far from even odds, whatever its words."""
    result = fingerprint(text)

    assert (True, True) == (result.reasoning_elicitation < 0.4, result.grading < 0.4)


@pytest.mark.parametrize("text", ELICITATION)
def test_request_for_reasoning_scores_near_one(text: str) -> None:
    """A prompt that asks for the model's reasoning does so in any letter case and several languages."""
    assert fingerprint(text).reasoning_elicitation > 0.6


@pytest.mark.parametrize("text", GRADING)
def test_request_for_a_grade_scores_near_one(text: str) -> None:
    """A prompt that uses the model as a grader is told from one that does not."""
    assert fingerprint(text).grading > 0.6


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("Write a Python function that reverses a linked list.", "coding"),
        ("for (i = 0; i < n; i++) { a[i] = b[i]; }", "coding"),
        ("```\nx <- 1\n```", "coding"),
        ("Anna has 3 apples and buys twice as many. How many does she have altogether?", "math"),
        ("You have access to the following tools: search(query)", "agentic"),
        ("Write an essay on the sea.", "writing"),
        ("Translate the following into French: good evening", "translation"),
        ("I want you to act as a pirate.", "roleplay"),
        ("who was the first king of Norway", "qa"),
        ("Draw a chart from this CSV spreadsheet.", "data"),
        ("公司拖欠工资，我可以去法院起诉吗？", "law"),
        ("Patients with these symptoms, what is the diagnosis?", "medical"),
        ("Why was my card payment declined by the bank?", "finance"),
        ("hello there", "chat"),
        ("?!?!", "other"),
        ("", "other"),
    ],
)
def test_topic(text: str, topic: str) -> None:
    """The topic follows the words, or the marks of code."""
    assert topic == fingerprint(text).topic


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What is this and how do you use it?", "en"),
        ("¿Qué hacen los niños por las tardes?", "es"),
        ("Pourquoi les chats sont dans une boîte ?", "fr"),
        ("Ich weiß nicht, was das ist und wie es geht", "de"),
        ("Não sei como é que você faz", "pt"),
        ("Non so che cosa è della casa", "it"),
        ("今天天气怎么样，python 好学吗", "zh"),
        ("これは何ですか", "ja"),
        ("안녕하세요", "ko"),
        ("Привет, как дела", "ru"),
        ("مرحبا كيف حالك", "ar"),
        ("שלום לכולם", "he"),
        ("नमस्ते दुनिया", "hi"),
        ("สวัสดีชาวโลก", "th"),
        ("Καλημέρα κόσμε", "el"),
        ("žluťoučký kůň", "other"),
        ("12 + 30 = ?", "other"),
    ],
)
def test_language(text: str, language: str) -> None:
    """The language follows the script, and small words for the Latin one."""
    assert language == fingerprint(text).language


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Tell me about order 12345 of my shop", "tell me about  ORDER 9, of my shop!"),
        ('Summarise "the sea" in three words please', 'Summarise "a long walk, by night" in three words please'),
        ("Fix the code ```a = 1``` for me now please", "Fix the code ```while True: pass``` for me now please"),
        ("Read https://a.example/x?y=1 and sum up please", "Read http://b.example and sum up please"),
        ("Mail bob@a.example.org that we are late", "Mail ann-lee@b.example that we are late"),
        ("Explain “left” to me in short words", "Explain «right» to me in short words"),
        ("don’t tell anyone my secret name", "Don't tell anyone my secret name"),
        ("ПРИВЕТ МОЙ ДОРОГОЙ ДРУГ", "привет мой дорогой друг"),
        ("please add 1, 2 and 3 to the list", "please add 4.5 and 1,000,000 to the list"),
        ("hid\u200bden wo\u00adrds in this text", "hidden words in this text"),
        ("ＦＵＬＬ width letters in this", "full width letters in this"),
    ],
)
def test_template_masks_what_varies(first: str, second: str) -> None:
    """Prompts that differ only in literals, case, spaces and invisible marks have one template."""
    assert fingerprint(first).template_hash == fingerprint(second).template_hash != 0


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("Tell me about the shop in town", "Tell me about the bank in town"),
        ("it's five o'clock in the 'old' town", "it's five o'clock in a 'old' town"),
        ('an unclosed " quote before other words', 'an unclosed " quote before more words'),
        (f'a "{"long " * SPAN_MAX_BYTES}" span is text', f'a "{"wide " * SPAN_MAX_BYTES}" span is text'),
    ],
)
def test_template_keeps_what_does_not(first: str, second: str) -> None:
    """Other words make another template; apostrophes and stray quotes open no literal."""
    assert fingerprint(first).template_hash != fingerprint(second).template_hash


def test_shared_head_and_tail_are_found() -> None:
    """Prompts with the same opening or ending words share that hash, whatever stands between."""
    questions = ["Where do penguins live in winter", "Name the rivers that cross Poland and Ukraine"]
    heads = {fingerprint(f"I will give you a question, please answer it. {text}").head_hash for text in questions}
    tails = {fingerprint(f"{text}? Think hard and answer very gradually.").tail_hash for text in questions}
    chinese = {
        fingerprint(f"{text}\n请给出推理过程之后再给出答案。\n").tail_hash
        for text in ["甲向乙借款三万元到期不还", "下列关于遗嘱的说法正确吗"]
    }

    assert ([1, 1, 1], False) == ([len(heads), len(tails), len(chinese)], 0 in heads | tails | chinese)


def test_short_text_has_no_template() -> None:
    """Two words are shared by everybody, so they identify nobody; only the SimHash is given."""
    result = fingerprint("hello there")

    assert (True, 0, 0, 0) == (result.simhash != 0, result.template_hash, result.head_hash, result.tail_hash)


def test_near_prompts_are_near() -> None:
    """One changed word moves few bits, a changed number none, another text about half."""
    base = (
        "You are given the minutes of a meeting of a sports club with 25 members. Sum up what was decided on the new "
        "pitch, who is to talk to the town hall, and which of the open questions have to be settled before the summer."
    )
    number = fingerprint(base).simhash ^ fingerprint(base.replace("25", "310")).simhash
    word = fingerprint(base).simhash ^ fingerprint(base.replace("sports", "chess")).simhash
    other = fingerprint(base).simhash ^ fingerprint("Why does bread rise in the oven and not in the fridge?").simhash

    assert (0, True, True) == (number.bit_count(), word.bit_count() <= 8, other.bit_count() >= 16)


def test_values_are_the_same_everywhere() -> None:
    """Hashes are part of the state and of the alerts, so no version or machine may compute others."""
    expected = Fingerprint(
        10156101195829765747,
        12759017261124480084,
        9427621627978961226,
        1070447760431584425,
        0.3866,
        0.7606,
        "chat",
        "en",
        124,
    )

    assert expected == fingerprint(
        "Rate the response to question 7 step by step: «Où est la gare ?» 答え: 駅 https://a.example/b, "
        "then mail bo.b@c.example at once"
    )


@pytest.mark.parametrize("text", ELICITATION[:3])
def test_quotes_halve_the_score(text: str) -> None:
    """Words that are quoted are rather talked about than meant."""
    assert fingerprint(f'What does "{text}" mean?').reasoning_elicitation < fingerprint(text).reasoning_elicitation


def test_repetition_adds_nothing() -> None:
    """A phrase counts once, or a long harmless text would add up to a campaign."""
    once = fingerprint("explain this gradually, thanks")

    assert once.reasoning_elicitation == fingerprint("explain this gradually, thanks " * 50).reasoning_elicitation


@settings(max_examples=1000, deadline=None)
@given(
    st.one_of(st.text(), st.text("\"'`“”‘’«»「」<>/@:.a1 \ud800中ก́"), st.text(min_size=1).map(lambda text: text * 999))
)
def test_any_text_has_a_fingerprint(text: str) -> None:
    """No text raises, lone surrogates included; values are in range, repeatable, and fit the contract."""
    result = fingerprint(text)

    assert result == fingerprint(text)
    assert all(0 <= value < 2**64 for value in result[:4])
    assert 0 <= result.reasoning_elicitation <= 1
    assert 0 <= result.grading <= 1
    assert result.topic in TOPICS
    assert result.language in LANGUAGES
    assert len(text) == result.chars
    event = RequestEvent("e", 1, "a", "m", 2, 3, prompt=result.as_prompt("s"))
    assert event == decode_request(encode_request(event), 9_999)


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1, max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_only_the_ends_count(unit: str, first: str, second: str) -> None:
    """What stands between the first and the last 4 KiB changes nothing but the length."""
    head, tail = (unit * EDGE_BYTES)[:EDGE_BYTES], (unit[::-1] * EDGE_BYTES)[:EDGE_BYTES]

    expected = fingerprint(head + first + "x" * EDGE_BYTES + tail)
    actual = fingerprint(head + "x" * EDGE_BYTES + second + tail)

    assert expected._replace(chars=0) == actual._replace(chars=0)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30), st.integers(0, 3 * EDGE_BYTES))
def test_edges_are_cut_between_characters(unit: str, length: int) -> None:
    """The bytes that are read are whole characters, at most 8 KiB and a line break; short texts are read whole."""
    text = (unit * (length + 1))[:length]
    data = text.encode("utf-8", "surrogatepass")

    actual = edges(text)

    assert len(actual) <= 2 * EDGE_BYTES + 1
    if len(data) <= 2 * EDGE_BYTES:
        assert data == actual
    else:
        head, _, tail = actual[: EDGE_BYTES + 1].rpartition(b"\n")[0], None, actual[-EDGE_BYTES + 3 :]
        assert data.startswith(head)
        assert data.endswith(tail)
        assert actual.decode("utf-8", "surrogatepass")


def test_result_holds_no_text() -> None:
    """Nothing of the prompt can be read from what is kept."""
    result = fingerprint("my password is hunter2 and my name is Eleanor")

    assert not [word for word in ("hunter", "Eleanor", "password") if word in repr(result)]
    assert "hunter" not in json.dumps(result)


def test_packaged_lexicon_is_sound() -> None:
    """Every phrase of the file is in the tables."""
    lexicon = load_lexicon()

    assert lexicon.n_phrases == (lexicon.phrase_keys != 0).sum() > 500


@pytest.mark.parametrize(
    "document",
    [
        {"elicitation": {"...": 1.0}},
        {"elicitation": {"step by step": 1.0, "Step-by-step": 1.0}},
        {"grading": {"a b c d e f g h i j k l m": 1.0}},
        {"mood": {"sad": 1.0}},
        {"topic": {"sports": {"ball": 1.0}}},
    ],
)
def test_faulty_lexicon_is_refused(document: dict[str, dict[str, float]]) -> None:
    """A phrase that could never match or a class that nobody reads is an error, not silence."""
    with pytest.raises(ValueError, match=r"lexicon|phrase"):
        phrases_of(document)
