"""The indicators that alerts give as evidence, by axis, and the names of the techniques: for people who read alerts.

Indicators I1 to I30 are numbered; an indicator written ``axis.name`` names its axis itself.
Techniques: MITRE ATLAS 5.6.
"""

# indicator -> axis, what it looks at
INDICATORS: dict[str, tuple[str, str]] = {
    "I1": ("structure", "prompts of one template on accounts of unrelated owners"),
    "I2": ("structure", "one fixed prompt around ever new content"),
    "I3": ("focus", "traffic concentrated on one purpose"),
    "I4": ("focus", "the model's reasoning is asked for"),
    "I8": ("focus", "the model is used as a grader"),
    "I9": ("focus", "purpose of the traffic over time"),
    "I10": ("coordination", "accounts in step"),
    "I11": ("identity", "shared payment means or devices"),
    "I12": ("identity", "shared networks that few others use"),
    "I14": ("coordination", "arrival of new accounts"),
    "I15": ("identity", "one pool used from many countries"),
    "I16": ("coordination", "accounts that take up one model together"),
    "I18": ("volume", "round-the-clock use"),
    "I19": ("identity", "new accounts, or a sudden change of use"),
    "I20": ("identity", "one credential from many networks"),
    "I21": ("volume", "throughput against what the plan and the past allow"),
    "I22": ("identity", "many clients behind one account"),
    "I28": ("volume", "a probe or burst unlike the account's past"),
    "I29": ("coordination", "even split of the load"),
}

TECHNIQUES: dict[str, str] = {
    "AML.T0005.001": "Train Proxy via Replication",
    "AML.T0008.005": "AI Service Proxies",
    "AML.T0012": "Valid Accounts",
    "AML.T0021": "Establish Accounts",
    "AML.T0024": "Exfiltration via AI Inference API",
    "AML.T0024.002": "Extract AI Model",
    "AML.T0034": "Cost Harvesting",
    "AML.T0034.000": "Cost Harvesting: excessive queries",
    "AML.T0040": "AI Model Inference API Access",
    "AML.T0048.004": "AI Intellectual Property Theft",
    "AML.T0054": "LLM Jailbreak",
    "AML.T0065": "LLM Prompt Crafting",
}

OTHER_AXIS = "other"


def axis(indicator: str) -> str:
    """Return an indicator's axis; ``other`` for one that this version does not know.

    >>> axis("I4"), axis("benign.course"), axis("I999")
    ('focus', 'benign', 'other')
    """
    if indicator in INDICATORS:
        return INDICATORS[indicator][0]
    head, dot, _ = indicator.partition(".")
    return head if dot and head else OTHER_AXIS
