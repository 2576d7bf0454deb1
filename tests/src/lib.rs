//! What the black-box tests need: servers as child processes, a small HTTP client, generated samples, judges.
