#ifndef WEIR_BENCH_SQLITE_PEER_H
#define WEIR_BENCH_SQLITE_PEER_H

#include <stdint.h>

/// Inserts `count` blobs of 100 bytes into a new SQLite database in WAL mode with synchronous=FULL,
/// `batch` of them in each transaction. Returns the nanoseconds that took, or -1 with a text in
/// `error`. The library is loaded when called, so that a build doesn't need it.
int64_t csqlite_insert(
    const char *path, int64_t count, int64_t batch, char *error, int64_t error_size);

#endif
