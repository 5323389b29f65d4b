"""Logs: readable lines on a terminal, JSON elsewhere; Faust, aiokafka and librdkafka through the same pipe."""

import logging
import sys

import structlog

# The services of Faust log under the module of their class, ours among them.
LIBRARIES = ("faust", "mode", "aiokafka", "asyncio", "streams.runtime.faust_app", "streams.runtime.transport")


def configure(level: str = "info") -> None:
    """Send structlog and the standard library's logging to standard error, libraries from WARNING on."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    last: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
            foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), *shared],
        )
    )
    handler.addFilter(_is_news)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _is_news(record: logging.LogRecord) -> bool:
    """Leave out aiokafka's warning of every rebalance; the stages log what they were given."""
    return "because it is rebalancing" not in str(record.msg)
