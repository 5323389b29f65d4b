"""A consumer of alerts as somebody else would write it: confluent-kafka, jsonschema and the schema file, nothing else.

Usage: foreign_consumer.py BOOTSTRAP TOPIC SCHEMA_FILE. Reads the topic to its end, prints the cases as JSON, and ends
with exit 1 and a line for each fault if anything on the topic breaks the contract.
"""

import datetime
import json
import re
import sys
from urllib.parse import urlsplit

from confluent_kafka import Consumer, KafkaError, TopicPartition
from jsonschema import Draft202012Validator

REQUIRED = ("id", "source", "specversion", "type")
NAME = re.compile(r"[a-z0-9]{1,20}")  # CloudEvents 1.0.2, naming conventions: a to z and digits, at most 20 (SHOULD)
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")  # not allowed in a CloudEvents string
URI = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def read(bootstrap, topic):
    """Yield all messages of a topic."""
    consumer = Consumer({
        "bootstrap.servers": bootstrap, "group.id": "somebody-else", "enable.auto.commit": False,
        "enable.partition.eof": True,
    })  # fmt: skip
    partitions = set(consumer.list_topics(topic, 10).topics[topic].partitions)
    consumer.assign([TopicPartition(topic, partition, 0) for partition in partitions])
    while partitions:
        for message in consumer.consume(1_000, 1.0):
            if message.error() is None:
                yield message
            elif message.error().code() == KafkaError._PARTITION_EOF:
                partitions.discard(message.partition())
            else:
                sys.exit(str(message.error()))
    consumer.close()


def attributes_of(headers):
    """Return the CloudEvents attributes of a record in binary content mode."""
    return {name[3:]: value.decode() for name, value in headers if name.startswith("ce_")}


def attribute_faults(headers, key):
    """Yield what breaks CloudEvents 1.0.2, its Kafka binding, or the extensions partitioning and severity."""
    names = [name for name, _ in headers]
    if len(set(names)) < len(names):
        yield f"a header comes twice: {names}"
    attributes = attributes_of(headers)
    yield from (f"required attribute {name} is missing" for name in REQUIRED if not attributes.get(name))
    for name, value in attributes.items():
        if not NAME.fullmatch(name):
            yield f"{name!r} is no attribute name"
        if not value or CONTROL.search(value):
            yield f"{name} is empty or has control characters: {value!r}"
    if attributes.get("specversion") != "1.0":
        yield f"specversion {attributes.get('specversion')}"
    if not URI.fullmatch(attributes.get("source", "")):
        yield f"source is no URI reference: {attributes.get('source')}"
    schema = attributes.get("dataschema")
    if schema is not None and not (URI.fullmatch(schema) and urlsplit(schema).scheme):
        yield f"dataschema is no absolute URI: {schema}"
    time = attributes.get("time")
    if time is not None and not (RFC3339.fullmatch(time) and datetime.datetime.fromisoformat(time)):
        yield f"time is not RFC 3339: {time}"
    if "datacontenttype" in attributes or dict(headers).get("content-type") != b"application/json":
        yield "datacontenttype belongs into the header content-type"
    if "partitionkey" in attributes and attributes["partitionkey"].encode() != key:
        yield "partitionkey is not the record's key"
    number = attributes.get("severitynumber", "1")
    if not re.fullmatch("[0-9]+", number) or not 1 <= int(number) <= 24:
        yield f"severitynumber {number}"


def fold(revisions):
    """Return a case from its revisions in order: members are (members + added) - removed."""
    members = set()
    for revision in revisions:
        members |= set(revision["accounts"]["added"])
        members -= set(revision["accounts"].get("removed", []))
        if len(members) != revision["accounts"]["count"]:
            yield f"revision {revision['revision']}: {len(members)} members, {revision['accounts']['count']} announced"
    yield {"members": sorted(members), **{name: revisions[-1].get(name) for name in (
        "revision", "status", "kind", "category", "severity", "merged_into", "subject_id",
    )}}  # fmt: skip


def main(bootstrap, topic, schema_path):
    """Read, check, fold and print."""
    with open(schema_path) as file:
        schema = Draft202012Validator(json.load(file))
    faults, cases, known, repeated = [], {}, {}, 0
    for message in read(bootstrap, topic):
        headers = message.headers() or []
        alert = json.loads(message.value())
        found = [error.message for error in schema.iter_errors(alert)]
        found += attribute_faults(headers, message.key())
        if found:
            faults += [f"offset {message.offset()}: {fault}" for fault in found]
            continue
        attributes = attributes_of(headers)
        identity = attributes["source"], attributes["id"]
        content = message.key(), message.value(), tuple(headers)
        if identity in known:
            repeated += 1
            if known[identity] != content:
                faults.append(f"{identity} comes with other contents")
            continue
        known[identity] = content
        if message.key() != alert["alert_id"].encode():
            faults.append(f"the key of {identity} is not its alert_id")
        cases.setdefault(alert["alert_id"], {})[alert["revision"]] = alert
    folded = {}
    for alert_id, revisions in cases.items():
        if sorted(revisions) != list(range(1, len(revisions) + 1)):
            faults.append(f"case {alert_id}: revisions {sorted(revisions)}")
            continue
        *found, folded[alert_id] = fold([revisions[number] for number in sorted(revisions)])
        faults += [f"case {alert_id}: {fault}" for fault in found]
    modules = sorted({name.partition(".")[0] for name in sys.modules})
    print(json.dumps({"cases": folded, "events": len(known), "repeated": repeated, "modules": modules}))
    for fault in faults:
        print(fault, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
