"""The shipped vectors hold for our own `fold`, and are themselves what the schema allows."""

import json
from importlib.resources import files
from typing import Any

import pytest
from schema_documents import ALERT

from streams.contracts.alert import decode_alert
from streams.contracts.fold import fold
from streams.errors import InputError

VECTORS = json.loads(files("streams.contracts").joinpath("fold_vectors.json").read_text("utf-8"))["vectors"]


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_vector(vector: dict[str, Any]) -> None:
    """Folding the revisions gives the members and fields, or the error, that the vector names."""
    revisions = [decode_alert(json.dumps(revision).encode()) for revision in vector["revisions"]]
    if "error" in vector:
        with pytest.raises(InputError, match=vector["error"]):
            fold(revisions)
        return

    case = fold(revisions)

    assert vector["members"] == list(case.members)
    assert vector["latest"] == {name: getattr(case.latest, name) for name in vector["latest"]}
    assert (case.latest.status in {"open", "updated"}) == case.active


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_revisions_are_valid_alerts(vector: dict[str, Any]) -> None:
    """A user of another language may decode the vectors with the schema alone."""
    assert [] == [error.message for revision in vector["revisions"] for error in ALERT.iter_errors(revision)]
