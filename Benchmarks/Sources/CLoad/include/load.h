#ifndef WEIR_BENCH_LOAD_H
#define WEIR_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// A connection of the load generator and how much of its load it has sent.
typedef struct {
    int32_t socket;
    uint64_t sent;
    uint64_t total;
} cload_connection;

/// How many descriptors this process may have open at most (the hard limit). With `raise`, raises
/// the soft limit to it and gives what that is then.
uint64_t cload_descriptors(bool raise);

/// How many sockets this process has open, or a negated errno. Linux only; in C, as the memory that
/// a list of all their names takes would be counted as the server's.
int32_t cload_open_sockets(void);

/// Connects to a port on 127.0.0.1, from the address `source` (as a number, 0 for any); gives the
/// socket, or a negated errno.
int32_t cload_connect(uint16_t port, uint32_t source);

/// Sends a whole request and reads the answer up to the empty line after its header; gives the
/// length of the header, or a negated errno. Reads byte by byte, so nothing behind it is lost.
int64_t cload_exchange(
    int32_t socket, const uint8_t *request, size_t request_length, uint8_t *answer,
    size_t answer_capacity);

/// Sends on every connection its `total` bytes by going round `block`, then `tail`, then shuts
/// down the sending side. One thread, 64 KiB or less in a write, `poll` where all sockets are full.
/// Gives 0, or an errno.
int32_t cload_pump(
    cload_connection *connections, size_t count, const uint8_t *block, size_t block_length,
    const uint8_t *tail, size_t tail_length);

/// Sends `frame` over each connection and again whenever `answer` has come back, until so many
/// messages are answered: one at a time on each. Gives 0, or an errno: EBADMSG for a wrong answer.
int32_t cload_echo(
    const int32_t *sockets, size_t count, const uint8_t *frame, size_t frame_length,
    const uint8_t *answer, size_t answer_length, uint64_t messages);

/// Sends on every connection its `total` bytes, a request of `request_length` bytes at a time out of
/// `block`, each after the answer to the one before: closed loop, one outstanding per connection.
/// An answer is a head with Content-Length and status 202. Then shuts down the sending side.
/// Gives 0, or an errno; EPROTO for another answer.
int32_t cload_ask(
    cload_connection *connections, size_t count, const uint8_t *block, size_t block_length,
    size_t request_length);

void cload_close(int32_t socket);

#endif
