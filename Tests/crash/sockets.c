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
    if (write(fd, "fault\n", 6) < 0) unlink(path);
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

ssize_t recv(int fd, void *bytes, size_t count, int flags) {
    static ssize_t (*next)(int, void *, size_t, int);
    if (!next) next = (ssize_t(*)(int, void *, size_t, int))dlsym(RTLD_NEXT, "recv");
    ssize_t size = allowed("recv", fd, count, 7);
    return size < 0 ? -1 : next(fd, bytes, (size_t)size, flags);
}

ssize_t send(int fd, const void *bytes, size_t count, int flags) {
    static ssize_t (*next)(int, const void *, size_t, int);
    if (!next) next = (ssize_t(*)(int, const void *, size_t, int))dlsym(RTLD_NEXT, "send");
    ssize_t size = allowed("send", fd, count, 3);
    return size < 0 ? -1 : next(fd, bytes, (size_t)size, flags);
}

// Gathering writes are sends to the one who says what fails.
ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    static ssize_t (*next)(int, const struct msghdr *, int);
    if (!next) next = (ssize_t(*)(int, const struct msghdr *, int))dlsym(RTLD_NEXT, "sendmsg");
    if (message->msg_iovlen == 0 || !is_due("send", fd)) return next(fd, message, flags);
    if (fault()) {
        errno = fault();
        return -1;
    }
    struct iovec first = message->msg_iov[0];
    if (first.iov_len > 3) first.iov_len = 3;
    struct msghdr part = *message;
    part.msg_iov = &first;
    part.msg_iovlen = 1;
    return next(fd, &part, flags);
}
