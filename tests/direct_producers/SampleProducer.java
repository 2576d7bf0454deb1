import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.generic.GenericRecordBuilder;
import org.apache.avro.message.BinaryMessageEncoder;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class SampleProducer {
    public static void main(String[] args) throws Exception {
        Schema schema = new Schema.Parser().parse(Path.of("SampleRows.v1.avsc").toFile());
        Schema sampleSchema = schema.getField("samples").schema().getElementType();

        GenericRecord sample = new GenericRecordBuilder(sampleSchema)
                .set("name", "api_latency")
                .set("timestamp", System.currentTimeMillis())
                .set("value", 145.5)
                .set("dimensions", Map.of("endpoint", "/api/users"))
                .build();
        GenericRecord rows = new GenericRecordBuilder(schema).set("samples", List.of(sample)).build();

        // C3 01 and the schema's fingerprint, then the datum.
        byte[] value = new BinaryMessageEncoder<GenericRecord>(GenericData.get(), schema).encode(rows).array();

        Properties config = new Properties();
        config.put("bootstrap.servers", System.getenv("KAFKA_BROKERS"));
        config.put("acks", "all");
        config.put("enable.idempotence", "true");
        try (var producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
            var record = new ProducerRecord<byte[], byte[]>("luminate.tenant.acme.samples.v1", value);
            RecordMetadata place = producer.send(record).get();
            System.out.printf("acknowledged: partition %d, offset %d%n", place.partition(), place.offset());
        }
    }
}
