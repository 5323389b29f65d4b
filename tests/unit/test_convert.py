"""Public sets become events: who sends what and when, with nothing but the traffic to tell the classes apart."""

import gzip
import json
from collections import Counter, defaultdict
from itertools import pairwise

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from streams.cli import main
from streams.contracts.request import RequestEvent, decode_request
from streams.convert.build import DAY_MS, Conversion, Plan
from streams.convert.sets import SETS
from streams.convert.traces import TENANTS, USERS
from streams.errors import InputError
from streams.simulator.truth import read

OASST = "human_oasst/oasst.jsonl.gz"


def lay(folder, name, rows):
    """Write a gzipped file of JSON lines."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))


def lay_csv(folder, name, header, rows):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("\n".join([header, *rows]).encode()))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A small folder in the layout of the public sets: two campaigns, two sets of people, a bank, an agent, traces."""
    folder = tmp_path_factory.mktemp("data")
    lay(
        folder,
        "distill_gpteacher/codegen.jsonl.gz",
        [{"prompt": f"Write program {i}", "response_chars": 400} for i in range(60)],
    )
    lay(folder, "math_questions/gsm8k.jsonl.gz", [{"prompt": f"{i} apples, how many?"} for i in range(60)])
    lay(
        folder,
        "human_oasst/oasst.jsonl.gz",
        [{"prompt": f"A question about {i}"} for i in range(40)] + [{"prompt": "  "}],
    )
    lay(folder, "human_webquestions/webquestions.jsonl.gz", [{"prompt": f"who was number {i}?"} for i in range(60)])
    lay(folder, "human_banking77/banking77.jsonl.gz", [{"prompt": f"my card {i}"} for i in range(30)])
    messages = ("fix the bug", "fix the bug\n\nit still fails", "fix the bug\n\nit still fails\n\nfixed")
    steps = [
        {"timestamp_us": 1_000_000 * t, "run_id": run, "input": text, "output": "ok"}
        for run in ("a", "b")
        for t, text in enumerate(messages)
    ]
    lay(folder, "workflow_traces/miniswe.jsonl.gz", steps)
    visits = [f"2024-11-{15 + i % 5} 10:{i % 60:02}:00,U{i % 20}" for i in range(80)]
    lay_csv(folder, USERS, "gmt_create,groupId", visits)
    windows = [f"{client},{600 * i},{1 + i % 7},1.5" for client in (1, 2) for i in range(2_016)]
    lay_csv(folder, TENANTS, "client_id,window_start_s,rate_rps,interarrival_cv", windows)
    return folder


def events_of(run):
    """The events of a run, decoded."""
    found = [decode_request(event.value, 1 << 20) for event in run]
    assert all(isinstance(event, RequestEvent) and not event.faults for event in found)
    return found


PLAN = Plan(seed=3, accounts=6)


def test_every_event_is_in_the_contract_and_in_order(data):
    """Events decode without a fault, in order of time, each id once, as many as the truth says."""
    run = Conversion(data, PLAN)
    events = events_of(run)

    assert run.truth.events == len(events) == len(run) == len({event.event_id for event in events})
    assert sorted(event.event_time for event in events) == [event.event_time for event in events]
    assert all(event.prompt is not None and event.prompt.text for event in events)


def test_a_campaign_spreads_its_set_over_its_accounts(data):
    """Each prompt of a set is sent once, by the campaign's accounts alone, and the truth counts them."""
    run = Conversion(data, PLAN)
    events = events_of(run)
    campaign = next(c for c in run.truth.campaigns if c.shape == "codegen")
    sent = [event for event in events if event.account_id in campaign.accounts]

    assert 6 == len(campaign.accounts)
    assert Counter(f"Write program {i}" for i in range(60)) == Counter(event.prompt.text for event in sent)
    assert dict(Counter(event.account_id for event in sent)) == campaign.per_account
    assert campaign.answered_ms == [e.event_time for e in sent if e.status == 200 and not e.refused]
    assert {100} == {event.output_tokens for event in sent if event.status == 200 and not event.refused}


def test_questions_are_wrapped_in_the_template(data):
    """GSM8K questions carry the chain-of-thought template; the other half is left for MetaMath."""
    run = Conversion(data, replace(PLAN, sets=("gsm8k_cot",)))
    texts = {event.prompt.text for event in events_of(run)}

    assert {f"Q: {i} apples, how many?\nA: Let's think step by step." for i in range(0, 60, 2)} == texts


def test_people_come_at_the_times_of_real_users(data):
    """Each benign account has exactly the gaps of one user of the trace, and no prompt is sent twice."""
    run = Conversion(data, PLAN)
    times, texts = defaultdict(list), Counter()
    people = {account for kind in run.truth.benign if not kind.hard_negative for account in kind.accounts}
    for event in events_of(run):
        if event.account_id in people:
            times[event.account_id].append(event.event_time - run.plan.start_ms)
            texts[event.prompt.text] += 1
    visits = defaultdict(list)
    for i in range(80):
        visits[i % 20].append(i % 5 * DAY_MS + i % 60 * 60_000)

    assert sorted(sorted(found) for found in visits.values()) == sorted(times.values())
    assert {1} == set(texts.values())


def test_each_run_of_a_program_is_an_account_with_its_last_messages(data):
    """A step carries what was added to the conversation, its turn and one conversation, at the trace's own gaps."""
    run = Conversion(data, replace(PLAN, sets=("miniswe",)))
    by_account = defaultdict(list)
    for event in events_of(run):
        by_account[event.account_id].append(event)

    assert 2 == len(by_account)
    for events in by_account.values():
        assert ["fix the bug", "it still fails", "fixed"] == [event.prompt.text for event in events]
        assert [1, 2, 3] == [event.turn for event in events]
        assert [1_000, 1_000] == [b.event_time - a.event_time for a, b in pairwise(events)]
        assert 1 == len({event.conversation_id for event in events})


def test_equal_plans_give_equal_bytes(data):
    """The same seed gives the same events; another seed does not."""
    assert list(Conversion(data, PLAN)) == list(Conversion(data, PLAN))
    assert list(Conversion(data, PLAN)) != list(Conversion(data, replace(PLAN, seed=4)))


def infrastructure(event):
    """All that belongs to an account and not to what it sends."""
    return (event.plan, event.org_id, event.api_key_id, event.account_created_at, event.identity)


def traffic(event):
    return (
        event.event_id,
        event.account_id,
        event.event_time,
        event.prompt,
        event.turn,
        event.output_tokens,
        event.status,
    )


def test_shuffling_deals_the_same_infrastructure_out_anew(data):
    """Shuffled, the traffic is what it was, and the accounts' identities are the same ones on other accounts."""
    plain, shuffled = events_of(Conversion(data, PLAN)), events_of(Conversion(data, replace(PLAN, shuffle=5)))
    before = {event.account_id: infrastructure(event) for event in plain}
    after = {event.account_id: infrastructure(event) for event in shuffled}

    assert [traffic(event) for event in plain] == [traffic(event) for event in shuffled]
    assert Counter(map(str, before.values())) == Counter(map(str, after.values()))
    assert sum(before[account] == after[account] for account in before) < len(before) / 4


def test_infrastructure_does_not_follow_the_class(tmp_path):
    """Plans and cards are as common among campaigns as among everybody else."""
    lay(tmp_path, OASST, [{"prompt": f"question {i}"} for i in range(4_000)])
    lay(tmp_path, "distill_gpteacher/codegen.jsonl.gz", [{"prompt": f"program {i}"} for i in range(4_000)])
    run = Conversion(tmp_path, replace(PLAN, accounts=500, exchanges=4_000, people=500))
    known = {event.account_id: event for event in events_of(run)}
    hostile = [known[account] for account in run.truth.campaigns[0].accounts if account in known]
    benign = [known[account] for account in run.truth.benign[0].accounts]

    for trait in (
        lambda e: e.plan == "pro",
        lambda e: e.identity and e.identity.payment_fingerprint,
        lambda e: e.org_id,
    ):
        shares = [sum(bool(trait(event)) for event in events) / len(events) for events in (hostile, benign)]
        assert abs(shares[0] - shares[1]) < 0.12  # four standard deviations of a share of 500


def test_missing_sets_and_traces_are_noted(data, tmp_path):
    """What is missing is left out with a note; without traces, times are drawn."""
    lay(tmp_path, OASST, [{"prompt": f"question {i}"} for i in range(50)])
    lay(tmp_path, "distill_gpteacher/codegen.jsonl.gz", [{"prompt": f"program {i}"} for i in range(50)])
    run = Conversion(tmp_path, PLAN)

    assert ["codegen"] == [campaign.shape for campaign in run.truth.campaigns]
    assert any("set flan_cot left out" in note for note in run.notes)
    assert any(USERS in note for note in run.notes)
    assert any(TENANTS in note for note in run.notes)
    assert 50 < len(list(run))


@pytest.mark.parametrize(
    ("arrange", "said"),
    [
        (lambda folder: None, "holds none of the sets"),
        (lambda folder: lay(folder, OASST, [{"text": "x"}]), "without the text field 'prompt'"),
        (
            lambda folder: (
                (folder / "human_oasst").mkdir(),
                (folder / "human_oasst/oasst.jsonl.gz").write_bytes(b"plain"),
            ),
            "no gzipped file of JSON lines",
        ),
    ],
    ids=["empty", "wrong-field", "not-gzip"],
)
def test_unusable_folders_are_refused(tmp_path, arrange, said):
    """A folder without sets, or with a file that is something else, is an error that names it."""
    arrange(tmp_path)

    with pytest.raises(InputError, match=said):
        Conversion(tmp_path, PLAN)


def test_a_named_set_must_be_there(data):
    """A set that is asked for by name and missing, or unknown, is an error."""
    with pytest.raises(InputError, match="set flan_cot needs"):
        Conversion(data, replace(PLAN, sets=("flan_cot",)))
    with pytest.raises(InputError, match="there is no set 'nope'"):
        Conversion(data, replace(PLAN, sets=("nope",)))


def test_the_command_writes_events_and_truth(data, tmp_path):
    """The command writes both files and tells in JSON what is in them."""
    out, truth = tmp_path / "real.jsonl.gz", tmp_path / "truth.json"
    arguments = ["convert", "--data", str(data), "--out", str(out), "--truth", str(truth), "--accounts", "6", "--json"]
    result = CliRunner().invoke(main, arguments)
    summary = json.loads(result.stdout)

    assert 0 == result.exit_code
    assert summary["events"] == len(gzip.decompress(out.read_bytes()).splitlines()) == read(truth).events
    assert {"codegen", "gsm8k_cot"} == {campaign["set"] for campaign in summary["campaigns"]}


def test_the_command_lists_its_sets():
    """--list names every set with its files and needs no data."""
    result = CliRunner().invoke(main, ["convert", "--list"])

    assert 0 == result.exit_code
    assert all(one.name in result.stdout and one.files[0] in result.stdout for one in SETS)


def test_the_command_needs_a_folder_and_a_file():
    """Without --data and --out the command says what it needs."""
    result = CliRunner().invoke(main, ["convert"])

    assert 2 == result.exit_code
    assert "give --data DIR and --out FILE" in result.stderr
