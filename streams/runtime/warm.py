"""Give the campaigns stage of a worker a reference to begin with."""

from pathlib import Path

import structlog

from streams.campaigns.carried import read_reference, unseal_reference
from streams.campaigns.operator import CampaignsOperator
from streams.config import Settings
from streams.operator import Operator
from streams.runtime.host import OperatorFactory

log = structlog.get_logger("stillwatch.reference")


def warm(make_operator: OperatorFactory, path: Path) -> OperatorFactory:
    """Make operators that begin with the reference of a file; state of their own comes before it.

    The file is read once, here. Raises `InputError` or `StateError` if it cannot be used.
    """
    data = read_reference(path)

    def told(ignored: bool) -> None:
        if ignored:
            log.warning("there is state from before: the reference is ignored", file=str(path))
        else:
            log.info("begins with the reference", file=str(path), observations=unseal_reference(data).sizes())

    def make(stage: str, settings: Settings, partition: int) -> Operator:
        operator = make_operator(stage, settings, partition)
        if isinstance(operator, CampaignsOperator):
            operator.begin_with(unseal_reference(data), told)
        return operator

    return make
