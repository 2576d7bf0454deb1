-- Strings are stored as lengths and bytes in one stream, which was the server's own default before. Lengths in a stream of their own
-- serve who asks for them alone; in a map every query reads both, and a key or value that repeats is found again as a whole:
-- dimensions take 0.6 of the bytes, and queries, inserts and merges less of the processor. Parts that are there keep their form
-- until they are merged.
ALTER TABLE $database.$local(samples)$on_cluster MODIFY SETTING string_serialization_version = 'single_stream';
