#define _GNU_SOURCE
// The load generator's inner loop is in C so that it stays well ahead of every server measured.

#include "load.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef MSG_NOSIGNAL
#define SEND_FLAGS MSG_NOSIGNAL
#else
#define SEND_FLAGS 0
#endif

uint64_t cload_descriptors(bool raise) {
    struct rlimit limit = {0};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
    if (raise && limit.rlim_cur < limit.rlim_max) {
        struct rlimit wanted = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &wanted) == 0) return wanted.rlim_cur;
        return limit.rlim_cur;
    }
    return raise ? limit.rlim_cur : limit.rlim_max;
}

int32_t cload_open_sockets(void) {
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL) return -errno;
    int32_t count = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char target[7];
        ssize_t length = readlinkat(dirfd(folder), entry->d_name, target, sizeof target);
        if (length == sizeof target && memcmp(target, "socket:", sizeof target) == 0) count += 1;
    }
    closedir(folder);
    return count;
}

/// Binds a socket to an address; its port is chosen when it connects, so that each address has all.
static int bind_to(int fd, uint32_t source) {
    int on = 1;
#ifdef IP_BIND_ADDRESS_NO_PORT
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
#endif
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = {0};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(source);
    return bind(fd, (const struct sockaddr *)&address, sizeof address);
}

int32_t cload_connect(uint16_t port, uint32_t source) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0) return -errno;
    if (source != 0 && bind_to(fd, source) != 0) {
        int code = errno;
        close(fd);
        return -code;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
#ifdef SO_NOSIGPIPE
    setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    struct sockaddr_in address = {0};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        int code = errno;
        close(fd);
        return -code;
    }
    return fd;
}

int64_t cload_exchange(
    int32_t socket, const uint8_t *request, size_t request_length, uint8_t *answer,
    size_t answer_capacity) {
    size_t sent = 0;
    while (sent < request_length) {
        ssize_t n = send(socket, request + sent, request_length - sent, SEND_FLAGS);
        if (n < 0 && errno != EINTR) return -errno;
        if (n > 0) sent += (size_t)n;
    }
    size_t length = 0;
    while (length < answer_capacity) {
        ssize_t n = recv(socket, answer + length, 1, 0);
        if (n == 0) return -ECONNRESET;
        if (n < 0 && errno != EINTR) return -errno;
        if (n > 0) length += 1;
        if (length >= 4 && memcmp(answer + length - 4, "\r\n\r\n", 4) == 0) return (int64_t)length;
    }
    return -EMSGSIZE;
}

/// Writes once; 1 if all is sent, 0 if there is more, -1 if the socket is full, else an errno + 1.
static int push(
    cload_connection *c, const uint8_t *block, size_t block_length, const uint8_t *tail,
    size_t tail_length) {
    const uint8_t *from;
    size_t length;
    if (c->sent < c->total) {
        size_t position = (size_t)(c->sent % block_length);
        from = block + position;
        length = block_length - position;
        if (length > c->total - c->sent) length = (size_t)(c->total - c->sent);
    } else {
        size_t position = (size_t)(c->sent - c->total);
        from = tail + position;
        length = tail_length - position;
    }
    if (length > 0) {
        ssize_t n = send(c->socket, from, length, SEND_FLAGS);
        if (n < 0) return errno == EAGAIN || errno == EINTR ? -1 : errno + 1;
        c->sent += (uint64_t)n;
    }
    return c->sent == c->total + tail_length;
}

int32_t cload_pump(
    cload_connection *connections, size_t count, const uint8_t *block, size_t block_length,
    const uint8_t *tail, size_t tail_length) {
    struct pollfd *polls = calloc(count, sizeof *polls);
    if (polls == NULL) return ENOMEM;
    for (size_t i = 0; i < count; i++) {
        int fd = connections[i].socket;
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        polls[i] = (struct pollfd){.fd = fd, .events = POLLOUT};
    }
    size_t open = count;
    int32_t result = 0;
    while (open > 0 && result == 0) {
        bool all_full = true;
        for (size_t i = 0; i < count && result == 0; i++) {
            if (polls[i].fd < 0) continue;
            int state = push(&connections[i], block, block_length, tail, tail_length);
            if (state >= 0) all_full = false;
            if (state > 1) result = state - 1;
            if (state == 1) {
                shutdown(connections[i].socket, SHUT_WR);
                polls[i].fd = -1;
                open -= 1;
            }
        }
        if (all_full && open > 0 && result == 0 && poll(polls, (nfds_t)count, -1) < 0
            && errno != EINTR) {
            result = errno;
        }
    }
    free(polls);
    return result;
}

/// An answer as far as it has come.
typedef struct {
    char bytes[1024];
    size_t length;
} answer;

/// 1 if the answer is complete, 0 if it isn't, -1 if it is none.
static int is_complete(const answer *a) {
    const char *end = memmem(a->bytes, a->length, "\r\n\r\n", 4);
    if (end == NULL) return a->length == sizeof a->bytes ? -1 : 0;
    if (a->length < 12 || memcmp(a->bytes, "HTTP/1.1 202", 12) != 0) return -1;
    const char *name = memmem(a->bytes, (size_t)(end - a->bytes), "ontent-", 7);
    while (name != NULL && strncasecmp(name, "ontent-length: ", 15) != 0) {
        name = memmem(name + 1, (size_t)(end - name - 1), "ontent-", 7);
    }
    if (name == NULL) return -1;
    size_t wanted = (size_t)(end - a->bytes) + 4 + (size_t)atoi(name + 15);
    return wanted > sizeof a->bytes || a->length > wanted ? -1 : a->length == wanted;
}

/// Sends the next request whole; a request fits an empty socket buffer.
static int ask(cload_connection *c, const uint8_t *block, size_t block_length, size_t length) {
    ssize_t n = send(c->socket, block + c->sent % block_length, length, SEND_FLAGS);
    if (n != (ssize_t)length) return n < 0 ? errno : EPROTO;
    c->sent += length;
    return 0;
}

int32_t cload_ask(
    cload_connection *connections, size_t count, const uint8_t *block, size_t block_length,
    size_t request_length) {
    struct pollfd *polls = calloc(count, sizeof *polls);
    answer *answers = calloc(count, sizeof *answers);
    int32_t result = polls == NULL || answers == NULL ? ENOMEM : 0;
    size_t open = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        cload_connection *c = &connections[i];
        polls[i] = (struct pollfd){.fd = c->total > 0 ? c->socket : -1, .events = POLLIN};
        if (c->total == 0) {
            shutdown(c->socket, SHUT_WR);
            continue;
        }
        open += 1;
        result = ask(c, block, block_length, request_length);
    }
    while (open > 0 && result == 0) {
        if (poll(polls, (nfds_t)count, -1) < 0) {
            if (errno != EINTR) result = errno;
            continue;
        }
        for (size_t i = 0; i < count && result == 0; i++) {
            if (polls[i].fd < 0 || polls[i].revents == 0) continue;
            cload_connection *c = &connections[i];
            answer *a = &answers[i];
            ssize_t n = recv(c->socket, a->bytes + a->length, sizeof a->bytes - a->length, 0);
            if (n <= 0) {
                result = n == 0 ? ECONNRESET : errno;
                break;
            }
            a->length += (size_t)n;
            int state = is_complete(a);
            if (state < 0) result = EPROTO;
            if (state <= 0) continue;
            a->length = 0;
            if (c->sent < c->total) {
                result = ask(c, block, block_length, request_length);
            } else {
                shutdown(c->socket, SHUT_WR);
                polls[i].fd = -1;
                open -= 1;
            }
        }
    }
    free(polls);
    free(answers);
    return result;
}

int32_t cload_echo(
    const int32_t *sockets, size_t count, const uint8_t *frame, size_t frame_length,
    const uint8_t *answer, size_t answer_length, uint64_t messages) {
    struct pollfd *polls = calloc(count, sizeof *polls);
    size_t *received = calloc(count, sizeof *received);
    uint8_t *buffer = malloc(answer_length);
    int32_t result = polls == NULL || received == NULL || buffer == NULL ? ENOMEM : 0;
    uint64_t begun = 0, done = 0;
    for (size_t i = 0; i < count && result == 0; i++) {
        polls[i] = (struct pollfd){.fd = sockets[i], .events = POLLIN};
        if (begun == messages) continue;
        begun += 1;
        if (send(sockets[i], frame, frame_length, SEND_FLAGS) != (ssize_t)frame_length) result = EIO;
    }
    while (done < messages && result == 0) {
        if (poll(polls, (nfds_t)count, -1) < 0 && errno != EINTR) result = errno;
        for (size_t i = 0; i < count && result == 0; i++) {
            if (polls[i].revents == 0) continue;
            ssize_t n = recv(sockets[i], buffer, answer_length - received[i], 0);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) {
                result = n == 0 ? ECONNRESET : errno;
            } else if (memcmp(buffer, answer + received[i], (size_t)n) != 0) {
                result = EBADMSG;
            } else if ((received[i] += (size_t)n) == answer_length) {
                received[i] = 0;
                done += 1;
                if (begun == messages) continue;
                begun += 1;
                if (send(sockets[i], frame, frame_length, SEND_FLAGS) != (ssize_t)frame_length) {
                    result = EIO;
                }
            }
        }
    }
    free(polls);
    free(received);
    free(buffer);
    return result;
}

void cload_close(int32_t socket) {
    close(socket);
}
