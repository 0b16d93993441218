// Preloaded into the service: lets every N-th call on a connected socket fail, or do less than it
// was asked for. strace can't tell sockets from the pipes by which threads wake each other.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_ulong calls;

// A line for each fault, to the file FAULT_TOLD.
static void tell(void) {
    const char *path = getenv("FAULT_TOLD");
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (fd < 0) return;
    // Not write(), which is the one below.
    if (pwrite(fd, "fault\n", 6, 0) < 0) unlink(path);
    close(fd);
}

static int is_connection(int fd) {
    struct stat info;
    if (fstat(fd, &info) < 0 || !S_ISSOCK(info.st_mode)) return 0;
    struct sockaddr_storage peer;
    socklen_t length = sizeof peer;
    return getpeername(fd, (struct sockaddr *)&peer, &length) == 0;
}

// Whether this call is one to fail; the variables are FAULT_CALL, FAULT_ERROR and FAULT_EVERY.
static int is_due(const char *name, int fd) {
    const char *call = getenv("FAULT_CALL"), *every = getenv("FAULT_EVERY");
    if (!call || !every || strcmp(call, name) != 0) return 0;
    int kept = errno;
    int due = is_connection(fd) && atomic_fetch_add(&calls, 1) % strtoul(every, 0, 10) == 0;
    if (due) tell();
    errno = kept;
    return due;
}

static int fault(void) {
    const char *error = getenv("FAULT_ERROR");
    return error ? atoi(error) : 0;
}

// A call that would move `count` bytes: -1 if it is to fail, else how many it may move.
static ssize_t allowed(const char *name, int fd, size_t count, size_t most) {
    if (!is_due(name, fd)) return (ssize_t)count;
    if (fault()) {
        errno = fault();
        return -1;
    }
    return (ssize_t)(count > most ? most : count);
}

ssize_t read(int fd, void *bytes, size_t count) {
    static ssize_t (*next)(int, void *, size_t);
    if (!next) next = (ssize_t(*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
    ssize_t size = allowed("read", fd, count, 7);
    return size < 0 ? -1 : next(fd, bytes, (size_t)size);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    static ssize_t (*next)(int, const void *, size_t);
    if (!next) next = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    ssize_t size = allowed("write", fd, count, 3);
    return size < 0 ? -1 : next(fd, bytes, (size_t)size);
}

ssize_t writev(int fd, const struct iovec *pieces, int count) {
    static ssize_t (*next)(int, const struct iovec *, int);
    if (!next) next = (ssize_t(*)(int, const struct iovec *, int))dlsym(RTLD_NEXT, "writev");
    if (is_due("write", fd)) {
        if (fault()) {
            errno = fault();
            return -1;
        }
        return write(fd, pieces[0].iov_base, pieces[0].iov_len > 3 ? 3 : pieces[0].iov_len);
    }
    return next(fd, pieces, count);
}
