#pragma once
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
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

// SOCK_* is an enum in Glibc and macros elsewhere, so Swift code would differ by platform.
// Returns a descriptor bound to `address` and listening, or a negative errno.
static inline int cuv_listen(const struct sockaddr *address, int backlog) {
    int fd = socket(address->sa_family, SOCK_STREAM, 0);
    if (fd < 0) return -errno;
    int on = 1;
    socklen_t length = address->sa_family == AF_INET6 ? (socklen_t)sizeof(struct sockaddr_in6)
                                                      : (socklen_t)sizeof(struct sockaddr_in);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0
        || fcntl(fd, F_SETFL, O_NONBLOCK) < 0
        || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0
        || bind(fd, address, length) < 0
        || listen(fd, backlog) < 0) {
        int error = errno;
        close(fd);
        return -error;
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

// accept4() is not visible to Swift, and errno has to be read right after the call. Returns a close-on-exec, non-blocking descriptor or a negative errno.
// A descriptor that is good for nothing but to be given up; open() is variadic.
static inline int cuv_spare_descriptor(void) { return open("/dev/null", O_RDONLY | O_CLOEXEC); }
static inline int cuv_accept(int listener) {
#ifdef __linux__
    int fd = accept4(listener, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return fd < 0 ? -errno : fd;
#else
    int fd = accept(listener, 0, 0);
    if (fd < 0) return -errno;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
#endif
}

// getsockname() takes a generic pointer and an in/out length. Returns 0 or a negative errno.
static inline int cuv_local_address(int fd, struct sockaddr_storage *address) {
    socklen_t length = sizeof *address;
    return getsockname(fd, (struct sockaddr *)address, &length) < 0 ? -errno : 0;
}

// `close` clashes with the methods of that name in Swift classes.
static inline void cuv_close(int fd) { close(fd); }
