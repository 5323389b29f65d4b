"""No field but content tells the hostile from the benign, nor one kind of benign accounts from the others."""

import giveaways
import msgspec
import numpy as np
import pytest

from streams.simulator.campaigns import DEFAULTS, parse
from streams.simulator.generate import Simulation
from streams.simulator.infra import AGENTS
from streams.simulator.kinds import KINDS
from streams.simulator.plan import Plan

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1_800)]  # a minute and a half of CPU

SEEDS = (41, 42)
AUC_MAX = 0.6
ACCOUNTS = 200  # of each campaign: chance alone moves an AUC by 0.02
ONLY_FEWEST = 10  # accounts of each seed that show a value before it counts as the hostile's or a kind's own

PAIRED = 6  # exchanges of an account whose pairs of values are looked at

# All shapes but stolen keys, whose owners are benign and whose thieves come from elsewhere; with the columns that may
# tell them: what they are about.
CONTENT = ("input_tokens",)  # counts the prompt
PLACE = ("asn", "network", "country", "address", "tls_fingerprint", "user_agent", "program")  # of a request
CAMPAIGNS: dict[str, tuple[str, ...]] = {
    "fixed_prompt": (),
    "template_variants": (),
    "paraphrase": (),
    "low_and_slow": (),
    "hydra": (),
    "failover": ("status", "hour"),  # a pool is blocked after two hours, another takes over
    "model_pivot": ("model",),  # all move to one model
    "technique_search": ("refused", "output_tokens", "latency_ms", "hour"),  # refused at first, then it grows
    "grading": (),
    "fixed_prompt:place=system": ("has system",),
    "two_in_pool": (),
    "two_pools": (),
    "clean_infrastructure": (),
    "burner": ("hour",),  # each account lives for some hours
    "clean_infrastructure:evade=clean+sleepers": (),
    "poisoning:plan=pro,use=code": (),  # against its own segment
    "fixed_prompt:plan=edu,use=chat": (),
    "reseller": (*PLACE, "turn"),  # strangers' clients in one account, and their conversations
    "fixed_prompt:evade=residential": tuple(  # another address for each session
        f"usual {name}" for name in ("asn", "network", "country", "address", "tls_fingerprint")
    ),
    "template_variants:evade=jitter+rotate+own_pace": (),
    "template_variants:evade=aged+split_payment+human_hours": (),
    "hydra:evade=copied_cover": (),
}
STOLEN = "stolen_key:accounts=30,start_h=0.1"
BRIEF = ("burner", "failover")  # whose accounts live for hours, and must be seen in them
SLEEP_H = 2.0  # of ordinary use before a sleepers' campaign begins


def spec(text):
    """A campaign from the start, of enough accounts, at a rate at which they are seen."""
    found = parse(text, DEFAULTS)
    wanted = {
        "start_h": SLEEP_H if found.evades("sleepers") else 0.0,
        "accounts": ACCOUNTS,
        "per_day": 300.0 if found.shape in (*BRIEF, "reseller") else 75.0,
        "segment_share": 0.0,
    }
    return msgspec.structs.replace(found, **wanted)


class Seen:
    """What one seed shows: tables of exchanges and accounts, and exchanges of benign and of hostile accounts."""

    def __init__(self, seed):
        campaigns = (*map(spec, CAMPAIGNS), parse(STOLEN, DEFAULTS))
        simulation = Simulation(Plan(seed=seed, accounts=2_500, hours=6.0, activity=0.6, campaigns=campaigns))
        events = giveaways.read(event.value for event in simulation)
        self.group = {account: kind.kind for kind in simulation.truth.benign for account in kind.accounts}
        texts = [text for text in (*CAMPAIGNS, STOLEN) for _ in range(1 + (text == "two_in_pool"))]
        for text, campaign in zip(texts, simulation.truth.campaigns, strict=True):
            self.group |= dict.fromkeys(campaign.accounts, text)
        samples = giveaways.sampled(events)
        self.tables = giveaways.tables(samples, self.group)
        kinds = {kind.name for kind in KINDS}
        self.benign = [seen[:PAIRED] for account, seen in samples.items() if self.group[account] in kinds]
        self.hostile = [seen[:PAIRED] for account, seen in samples.items() if self.group[account] not in kinds]

    def against(self, level, text):
        """The table of a campaign's and of benign units, without what may tell them, and which are hostile."""
        table = self.tables[level]
        hostile = table.owner == text
        keep = hostile | np.isin(table.owner, [kind.name for kind in KINDS])
        named = "usual " * level
        if plan := spec(text).plan:
            keep &= table.categories[f"{named}plan"].isin([plan])
            keep &= table.categories[f"{named}program"].isin(PROGRAMS[spec(text).use])
        if text == "reseller":
            keep &= table.categories[f"{named}key"].isin(["key_"])
            keep &= hostile | table.categories[f"{named}program"].isin(PROGRAMS["api"])
        return table.without((*CONTENT, *CAMPAIGNS[text])).only(keep), hostile[keep]


# Of a campaign within one segment, or of accounts with keys: the programs of benign accounts to compare it with.
PROGRAMS = {
    "code": ("code-agent", "vscode-assist", "opencode"),
    "chat": ("Mozilla", "AtlasApp"),
    "api": tuple({name.partition("/")[0] for name, _, _ in AGENTS["sdk"]}),
}


@pytest.fixture(scope="module")
def seen():
    """Two seeds."""
    return [Seen(seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def benign():
    """Exchanges of two larger services without campaigns, by kind and account."""
    found = []
    for seed in (43, 44):
        simulation = Simulation(Plan(seed=seed, accounts=16_000, hours=24.0, activity=0.03))
        samples = giveaways.sampled(giveaways.read(event.value for event in simulation), 1, PAIRED)
        found.append(
            {
                k.kind: [samples[account] for account in k.accounts if account in samples]
                for k in simulation.truth.benign
            }
        )
    return found


@pytest.mark.parametrize("level", [0, 1], ids=["exchanges", "accounts"])
@pytest.mark.parametrize("text", CAMPAIGNS)
def test_a_small_tree_cannot_tell_a_campaign(seen, text, level):
    """The best depth-2 tree on non-content fields that one seed grows stays under AUC 0.6 on another."""
    for train, test in (seen, seen[::-1]):
        tree = giveaways.Tree(*train.against(level, text))

        assert tree.auc(*test.against(level, text)) < AUC_MAX, tree


@pytest.mark.parametrize("level", [0, 1], ids=["exchanges", "accounts"])
def test_the_tree_finds_a_give_away(seen, level):
    """The test above can fail: a mark that two thirds of the hostile and a fifth of the benign have is found."""
    grown = []
    for one in seen:
        table, hostile = one.against(level, "fixed_prompt")
        chance = np.random.default_rng(1).random(len(table))
        table.categories["planted"] = giveaways.Column(np.where(chance < np.where(hostile, 0.66, 0.2), "x", "y"))
        grown.append((table, hostile))

    assert giveaways.Tree(*grown[0]).auc(*grown[1]) > 0.7


def own(seen, benign, size):
    """What enough hostile accounts of each seed show, and no benign account at all."""
    common = set.intersection(
        *({item for item, n in giveaways.showing(one.hostile, size).items() if n >= ONLY_FEWEST} for one in seen)
    )
    for mine in [one.benign for one in seen] + [some for kinds in benign for some in kinds.values()]:
        common -= giveaways.shown((event for events in mine for event in events), size)
    return common


@pytest.mark.parametrize("size", [1, 2], ids=["values", "pairs"])
def test_nothing_is_only_the_hostiles(seen, benign, size):
    """What hostile accounts of both seeds show, benign ones show too: single fields and pairs of fields."""
    assert set() == own(seen, benign, size)


def test_a_pair_of_the_hostiles_own_is_found(seen, benign, monkeypatch):
    """The test above can fail: a pair of common values that no benign account joins is reported."""
    free, pro = (
        {**e, "plan": plan, "model": "atlas-6"} for e, plan in zip(seen[0].hostile[0], ("free", "pro"), strict=False)
    )
    for one in seen:
        monkeypatch.setattr(one, "hostile", [[free]] * ONLY_FEWEST)
        monkeypatch.setattr(one, "benign", [[pro], [{**free, "model": "atlas-5"}]])

    assert {(("plan", "free"), ("model", "atlas-6"))} <= own(seen, benign, 2)


@pytest.mark.parametrize("kind", [kind.name for kind in KINDS if kind.hard])
def test_no_value_marks_a_hard_negative(benign, kind):
    """No value means one kind: nowhere in two seeds are most who show it of the kind, and a fifth of the kind do."""
    marks = []
    for kinds in benign:
        mine = giveaways.showing(kinds[kind], 1)
        everyone = giveaways.showing((seen for some in kinds.values() for seen in some), 1)
        assert kinds[kind]
        fewest = max(ONLY_FEWEST, len(kinds[kind]) / 5)
        marks.append({item for item, n in mine.items() if n >= fewest and n > everyone[item] / 2})

    assert set() == marks[0] & marks[1]
