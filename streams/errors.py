"""What can go wrong, as a tree.

StillwatchError
├── ConfigError        a setting is unknown, impossible or of the wrong type
├── InputError         a file or argument that the user gave cannot be used
├── BrokerError        Kafka is missing, unreachable, or refuses
│   └── TopicError     a topic is missing or differs from what is needed
├── StateError         a state record is corrupt, truncated, or from a newer version
└── ContractError      a library's protected member no longer behaves as pinned

Bad *data* is never an exception: it is a value with a reason and goes to the dead letters.
"""

import click


class StillwatchError(click.ClickException):
    """Base of all errors shown to the user; the message says what to do next."""

    exit_code = 1


class ConfigError(StillwatchError):
    """A setting is unknown, impossible or of the wrong type."""

    exit_code = 2


class InputError(StillwatchError):
    """A file or argument cannot be used."""

    exit_code = 2


class BrokerError(StillwatchError):
    """Kafka is missing, unreachable, or refuses."""

    exit_code = 3


class TopicError(BrokerError):
    """A topic is missing or differs from what is needed."""


class StateError(StillwatchError):
    """A state record is corrupt, truncated, or was written by a newer version."""

    exit_code = 4


class ContractError(StillwatchError):
    """A library's protected member no longer behaves as pinned."""

    exit_code = 5
