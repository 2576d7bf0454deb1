#!/usr/bin/env python3
"""Writes samples to a tenant's topic.

    pip install confluent-kafka fastavro
    producer.py --brokers HOST:PORT --tenant acme --schema SampleRows.v1.avsc < samples.ndjson

With --registry URL (pip install "confluent-kafka[avro,schemaregistry]") values are in the Confluent wire format.
One sample a line: {"name": "api_latency", "timestamp": 1735603200000, "value": 145.5, "dimensions": {"endpoint": "/users"}}.
Ends with status 0 once every record is acknowledged by the in-sync replicas.
"""
import argparse
import io
import itertools
import json
import os
import sys

import fastavro
from confluent_kafka import Producer

SAMPLES_PER_RECORD = 1000


class SingleObject:
    """Values that name their schema by its fingerprint: C3 01, the fingerprint, the datum."""

    def __init__(self, schema_text):
        schema = json.loads(schema_text)
        canonical = fastavro.schema.to_parsing_canonical_form(schema)
        self.header = b"\xc3\x01" + bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))
        self.schema = fastavro.parse_schema(schema)

    def encode(self, samples):
        value = io.BytesIO()
        value.write(self.header)
        fastavro.schemaless_writer(value, self.schema, {"samples": samples})
        return value.getvalue()


class Registered:
    """Values that name their schema by its number in a registry: 00, the number, the datum."""

    def __init__(self, schema_text, registry_url, topic):
        from confluent_kafka.schema_registry import SchemaRegistryClient
        from confluent_kafka.schema_registry.avro import AvroSerializer
        from confluent_kafka.serialization import MessageField, SerializationContext

        self.serializer = AvroSerializer(SchemaRegistryClient({"url": registry_url}), schema_text)
        self.context = SerializationContext(topic, MessageField.VALUE)

    def encode(self, samples):
        return self.serializer({"samples": samples}, self.context)


def connect(arguments):
    config = {
        "bootstrap.servers": arguments.brokers,
        "acks": "all",
        "enable.idempotence": True,  # a repeat inside the client is stored once
        "compression.type": "zstd",
        "linger.ms": 20,
    }
    if arguments.username:
        config |= {
            "security.protocol": arguments.security_protocol,
            "sasl.mechanism": "SCRAM-SHA-256",
            "sasl.username": arguments.username,
            "sasl.password": os.environ["KAFKA_PASSWORD"],
        }
    return Producer(config)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brokers", required=True)
    parser.add_argument("--tenant", required=True, help="whose topic to write to")
    parser.add_argument("--schema", required=True, help="SampleRows.v1.avsc")
    parser.add_argument("--username", help="for SCRAM; the password comes from KAFKA_PASSWORD")
    parser.add_argument("--security-protocol", default="SASL_SSL", help="or SASL_PLAINTEXT")
    parser.add_argument("--registry", help="URL of a schema registry")
    arguments = parser.parse_args()

    topic = f"luminate.tenant.{arguments.tenant}.samples.v1"
    with open(arguments.schema, encoding="utf-8") as file:
        schema_text = file.read()
    rows = Registered(schema_text, arguments.registry, topic) if arguments.registry else SingleObject(schema_text)
    producer = connect(arguments)
    faults = []

    def delivered(error, _message):
        if error is not None:
            faults.append(error)

    samples = (json.loads(line) for line in sys.stdin)
    written = 0
    while record := list(itertools.islice(samples, SAMPLES_PER_RECORD)):
        while True:
            try:
                producer.produce(topic, rows.encode(record), on_delivery=delivered)
                break
            except BufferError:  # the client's buffer is full: let it send some of it
                producer.poll(0.1)
        producer.poll(0)
        written += len(record)
    producer.flush()
    if faults:
        sys.exit(f"{len(faults)} records were not acknowledged: {faults[0].str()}")
    print(f"{written} samples acknowledged")


if __name__ == "__main__":
    main()
