"""What `stillwatch worker` makes of its options before it meets Kafka."""

import pytest
from click.testing import CliRunner

from streams.commands.worker import worker


@pytest.mark.parametrize(
    ("arguments", "exit_code", "message"),
    [
        (["--stages", "accounts,token"], 2, "token: choose among accounts, tokens, campaigns"),
        (["--stages", ","], 2, "choose among accounts, tokens, campaigns"),
        (["--metrics-port", "70000"], 2, "70000 is not in the range"),
        (["--operators", "streams.nothing:make"], 2, "--operators streams.nothing:make"),
        (["--operators", "streams.pipeline:nothing"], 2, "--operators streams.pipeline:nothing"),
        (["--config", "/no/such/file.toml"], 2, "/no/such/file.toml"),
    ],
)
def test_options_that_cannot_be_used_are_named(arguments: list[str], exit_code: int, message: str):
    """Exit 2 and the reason, before anything is connected."""
    result = CliRunner().invoke(worker, arguments)

    assert exit_code == result.exit_code
    assert message in result.output
