#pragma once
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>
#include <uv.h>
#ifdef __linux__
#include <sys/eventfd.h>
#endif

#ifdef __linux__
// Glibc's module map leaves <sys/eventfd.h> out, so Swift does not see eventfd().
// Returns a descriptor or a negative errno.
static inline int cuv_eventfd(void) {
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}
#endif

// Closes a descriptor with which something went wrong. Returns the negative errno of that.
static inline int cuv_give_up(int fd) {
    int error = errno;
    close(fd);
    return -error;
}

// Returns a close-on-exec, non-blocking socket of a type, or a negative errno.
static inline int cuv_socket(int family, int type) {
    int fd = socket(family, type, 0);
    if (fd < 0) return -errno;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        return cuv_give_up(fd);
    }
    return fd;
}

static inline socklen_t cuv_address_length(const struct sockaddr *address) {
    return address->sa_family == AF_INET6 ? (socklen_t)sizeof(struct sockaddr_in6)
                                          : (socklen_t)sizeof(struct sockaddr_in);
}

// SOCK_* is an enum in Glibc and macros elsewhere, so Swift code would differ by platform.
// Returns a descriptor bound to `address` and listening, or a negative errno.
static inline int cuv_listen(const struct sockaddr *address, int backlog) {
    int fd = cuv_socket(address->sa_family, SOCK_STREAM);
    if (fd < 0) return fd;
    int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0
        || bind(fd, address, cuv_address_length(address)) < 0
        || listen(fd, backlog) < 0) {
        return cuv_give_up(fd);
    }
    return fd;
}

// SOCK_* again, and several calls that belong together. Takes a listening TCP socket that another process has opened: returns a
// close-on-exec duplicate of it with this backlog, -EINVAL when it is another kind of descriptor.
static inline int cuv_adopt_listener(int fd, int backlog) {
    int type = 0, listens = 0;
    socklen_t length = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0) return -errno;
    length = sizeof listens;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) < 0) return -errno;
    if (type != SOCK_STREAM || !listens) return -EINVAL;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || listen(fd, backlog) < 0) return -errno;
    int duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    return duplicate < 0 ? -errno : duplicate;
}

// Variadic. What this process starts is not to have the descriptor.
static inline void cuv_close_on_exec(int fd) { fcntl(fd, F_SETFD, FD_CLOEXEC); }

#ifdef __linux__
// Declared by <sys/socket.h> only under _GNU_SOURCE, which would make this module's types differ
// from those of Swift's Glibc module.
extern int accept4(int, struct sockaddr *, socklen_t *, int);
#endif

// A descriptor that is good for nothing but to be given up; open() is variadic.
static inline int cuv_spare_descriptor(void) { return open("/dev/null", O_RDONLY | O_CLOEXEC); }

// accept4() is not visible to Swift, and errno has to be read right after the call. Returns a close-on-exec, non-blocking descriptor
// or a negative errno.
static inline int cuv_accept(int listener) {
#ifdef __linux__
    int fd = accept4(listener, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return fd < 0 ? -errno : fd;
#else
    int fd = accept(listener, 0, 0);
    if (fd < 0) return -errno;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        return cuv_give_up(fd);
    }
    return fd;
#endif
}

// SOCK_* again. Returns a close-on-exec, non-blocking socket that is connected or about to be, or a negative errno.
static inline int cuv_connect(const struct sockaddr *address) {
    int fd = cuv_socket(address->sa_family, SOCK_STREAM);
    if (fd < 0) return fd;
    if (connect(fd, address, cuv_address_length(address)) < 0 && errno != EINPROGRESS && errno != EINTR) {
        return cuv_give_up(fd);
    }
    return fd;
}

// What became of a connection attempt: 0 or a negative errno.
static inline int cuv_socket_error(int fd) {
    int error = 0;
    socklen_t length = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0 ? -errno : -error;
}

// errno has to be read right after the call. Returns the bytes received, 0 at the peer's end, or a negative errno.
static inline ssize_t cuv_receive(int fd, void *bytes, size_t capacity) {
    ssize_t count;
    do count = recv(fd, bytes, capacity, 0); while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : count;
}

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

static inline ssize_t cuv_sent(ssize_t count) {
    if (count >= 0) return count;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS ? 0 : -errno;
}

// As above. Returns the bytes that the kernel has taken, 0 while it takes none, or a negative errno.
static inline ssize_t cuv_send(int fd, const void *bytes, size_t length) {
    ssize_t count;
    do count = send(fd, bytes, length, MSG_NOSIGNAL); while (count < 0 && errno == EINTR);
    return cuv_sent(count);
}

// As above, for pieces; a uv_buf_t is an iovec on all systems but Windows, as libuv documents.
static inline ssize_t cuv_send_pieces(int fd, const uv_buf_t *pieces, size_t length) {
    struct msghdr message;
    memset(&message, 0, sizeof message);
    message.msg_iov = (struct iovec *)pieces;
    message.msg_iovlen = length;
    ssize_t count;
    do count = sendmsg(fd, &message, MSG_NOSIGNAL); while (count < 0 && errno == EINTR);
    return cuv_sent(count);
}

// Without MSG_NOSIGNAL the socket itself has to be told.
static inline void cuv_no_signal(int fd) {
#ifdef SO_NOSIGPIPE
    int on = 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#else
    (void)fd;
#endif
}

// Ends the sending side. Returns 0 or a negative errno.
static inline int cuv_end_sending(int fd) { return shutdown(fd, SHUT_WR) < 0 ? -errno : 0; }

// Makes closing the socket reset the connection.
static inline void cuv_reset_on_close(int fd) {
    struct linger none = {1, 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}

// Sends small writes at once, or not. Does nothing for sockets in the file system.
static inline void cuv_no_delay(int fd, int is_on) {
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &is_on, sizeof is_on);
}

// Lets the kernel probe a peer that has been quiet for so many seconds; 0 is never.
static inline void cuv_keep_alive(int fd, int seconds) {
    int is_on = seconds > 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &is_on, sizeof is_on);
    if (!is_on) return;
#ifdef TCP_KEEPIDLE
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof seconds);
#elif defined(TCP_KEEPALIVE)
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPALIVE, &seconds, sizeof seconds);
#endif
}

// getpeername() as well. Returns 0 or a negative errno.
static inline int cuv_peer_address(int fd, struct sockaddr_storage *address) {
    socklen_t length = sizeof *address;
    return getpeername(fd, (struct sockaddr *)address, &length) < 0 ? -errno : 0;
}

// getsockname() takes a generic pointer and an in/out length. Returns 0 or a negative errno.
static inline int cuv_local_address(int fd, struct sockaddr_storage *address) {
    socklen_t length = sizeof *address;
    return getsockname(fd, (struct sockaddr *)address, &length) < 0 ? -errno : 0;
}

// `close` clashes with the methods of that name in Swift classes.
static inline void cuv_close(int fd) { close(fd); }

// SO_MEMINFO is a macro, and its array has no type in the C library. Datagrams that the kernel has dropped because the
// socket's buffer was full, since it was made; -1 where the system doesn't tell.
static inline long long cuv_dropped_datagrams(int fd) {
#ifdef SO_MEMINFO
    unsigned int values[16] = {0};
    socklen_t length = sizeof values;
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, values, &length) < 0 || length < 9 * sizeof values[0]) return -1;
    return values[8];
#else
    (void)fd;
    return -1;
#endif
}

// Fills in the address of a socket in the file system. Returns its length, 0 when the path is empty or too long.
static inline socklen_t cuv_unix_address(const char *path, struct sockaddr_un *address) {
    size_t length = strlen(path);
    memset(address, 0, sizeof *address);
    if (length == 0 || length >= sizeof address->sun_path) return 0;
    address->sun_family = AF_UNIX;
    memcpy(address->sun_path, path, length + 1);
    return (socklen_t)sizeof *address;
}

// SOCK_* again. Returns a close-on-exec, non-blocking socket for the file system's names, of streams or of datagrams, or a negative
// errno.
static inline int cuv_unix_socket(int takes_datagrams) {
    return cuv_socket(AF_UNIX, takes_datagrams ? SOCK_DGRAM : SOCK_STREAM);
}

// errno has to be read right after the call. Binds `path` with these permissions and listens with this backlog; with none it is a
// socket of datagrams, which takes what is sent from its binding on: Linux binds with the permissions that the socket itself has.
// Returns a descriptor or a negative errno; -ENAMETOOLONG when the path doesn't fit an address.
static inline int cuv_unix_bind(const char *path, unsigned int permissions, int backlog) {
    struct sockaddr_un address;
    socklen_t length = cuv_unix_address(path, &address);
    if (length == 0) return -ENAMETOOLONG;
    int fd = cuv_unix_socket(backlog == 0);
    if (fd < 0) return fd;
    (void)fchmod(fd, (mode_t)permissions);
    if (bind(fd, (struct sockaddr *)&address, length) < 0) {
        return cuv_give_up(fd);
    }
    if (chmod(path, (mode_t)permissions) < 0 || (backlog > 0 && listen(fd, backlog) < 0)) {
        int error = errno;
        unlink(path);
        errno = error;
        return cuv_give_up(fd);
    }
    return fd;
}

// As above. Returns a connected descriptor or a negative errno.
static inline int cuv_unix_connect(const char *path, int takes_datagrams) {
    struct sockaddr_un address;
    socklen_t length = cuv_unix_address(path, &address);
    if (length == 0) return -ENAMETOOLONG;
    int fd = cuv_unix_socket(takes_datagrams);
    if (fd < 0) return fd;
    if (connect(fd, (struct sockaddr *)&address, length) < 0) {
        return cuv_give_up(fd);
    }
    return fd;
}

// S_ISSOCK is a macro. Whether a path leads to a socket: 1, 0 for something else, a negative errno; and which file it is.
static inline int cuv_is_socket(const char *path, unsigned long long *device, unsigned long long *inode) {
    struct stat status;
    if (lstat(path, &status) < 0) return -errno;
    *device = (unsigned long long)status.st_dev;
    *inode = (unsigned long long)status.st_ino;
    return S_ISSOCK(status.st_mode) ? 1 : 0;
}

// errno again. Returns 0 or a negative errno.
static inline int cuv_unlink(const char *path) { return unlink(path) < 0 ? -errno : 0; }
