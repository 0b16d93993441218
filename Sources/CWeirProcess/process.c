#define _GNU_SOURCE
#include "CWeirProcess.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#include <sys/syscall.h>
#else
#include <mach-o/dyld.h>
#endif

extern char **environ;

enum { FIRST_PASSED = 3, DESCRIPTORS_MAX = 64 };

int32_t cwp_pipe(int32_t ends[2]) {
    int both[2];
#ifdef __linux__
    // In one step: no process that another thread starts in between inherits them.
    if (pipe2(both, O_CLOEXEC | O_NONBLOCK) < 0) return -errno;
#else
    if (pipe(both) < 0) return -errno;
    for (int i = 0; i < 2; i++) {
        if (fcntl(both[i], F_SETFD, FD_CLOEXEC) < 0 || fcntl(both[i], F_SETFL, O_NONBLOCK) < 0) {
            int error = errno;
            close(both[0]);
            close(both[1]);
            return -error;
        }
    }
#endif
    ends[0] = both[0];
    ends[1] = both[1];
    return 0;
}

// Only calls that are safe after fork in a process with threads, from here …

static void close_from(int first) {
#if defined(__linux__) && defined(SYS_close_range)
    if (syscall(SYS_close_range, (unsigned)first, ~0U, 0) == 0) return;
#endif
    long limit = sysconf(_SC_OPEN_MAX);
    if (limit < 0 || limit > 65536) limit = 65536;
    for (int fd = first; fd < limit; fd++) close(fd);
}

static void default_signals(void) {
    struct sigaction action;
    for (int number = 1; number < NSIG; number++) {
        if (sigaction(number, NULL, &action) < 0) continue;
        if (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN) continue;
        memset(&action, 0, sizeof action);
        action.sa_handler = SIG_DFL;
        sigaction(number, &action, NULL);
    }
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
}

static int run_command(const struct cwp_command *command, pid_t parent, int report) {
    int end = FIRST_PASSED + command->descriptor_count;
    int moved[DESCRIPTORS_MAX];
    // First out of the way of the numbers they shall have, then onto them.
    int high = fcntl(report, F_DUPFD_CLOEXEC, end + 1);
    if (high < 0) goto failed;
    report = high;
    for (int i = 0; i < command->descriptor_count; i++) {
        moved[i] = fcntl(command->descriptors[i], F_DUPFD_CLOEXEC, end + 1);
        if (moved[i] < 0) goto failed;
    }
    for (int i = 0; i < command->descriptor_count; i++) {
        if (dup2(moved[i], FIRST_PASSED + i) < 0) goto failed;
    }
    if (dup2(report, end) < 0) goto failed;
    report = end;
    if (fcntl(report, F_SETFD, FD_CLOEXEC) < 0) goto failed;
    close_from(end + 1);
#ifdef __linux__
    if (command->orphan_signal > 0) {
        if (prctl(PR_SET_PDEATHSIG, (unsigned long)command->orphan_signal, 0, 0, 0) < 0) goto failed;
        // The parent may have died before the call above.
        if (getppid() != parent) _exit(128 + command->orphan_signal);
    }
#endif
    default_signals();
    execve(command->path, command->arguments, command->environment);
failed:;
    int error = errno;
    ssize_t ignored = write(report, &error, sizeof error);
    (void)ignored;
    return -1;
}

// … to here.

int32_t cwp_spawn(const struct cwp_command *command) {
    if (command->descriptor_count < 0 || command->descriptor_count > DESCRIPTORS_MAX) return -EINVAL;
    int report[2];
    int status = cwp_pipe(report);
    if (status < 0) return status;
    fcntl(report[0], F_SETFL, 0);
    // Whoever ignores SIGCHLD, or has inherited that, is not told how a child has ended.
    struct sigaction action;
    if (sigaction(SIGCHLD, NULL, &action) == 0 && action.sa_handler == SIG_IGN) {
        action.sa_handler = SIG_DFL;
        sigaction(SIGCHLD, &action, NULL);
    }
    // No handler of the supervisor may run in the child.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == 0) {
        run_command(command, parent, report[1]);
        _exit(127);
    }
    int error = pid < 0 ? errno : 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(report[1]);
    if (pid > 0) {
        ssize_t count;
        do { count = read(report[0], &error, sizeof error); } while (count < 0 && errno == EINTR);
        if (count != (ssize_t)sizeof error) error = 0;
        if (error != 0) {
            while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {}
        }
    }
    close(report[0]);
    return error != 0 ? -error : pid;
}

struct watched {
    pid_t pid;
    int end;
};

static void *wait_for_end(void *context) {
    struct watched *watched = context;
    siginfo_t info;
    while (waitid(P_PID, (id_t)watched->pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR) {}
    close(watched->end);
    free(watched);
    return NULL;
}

int32_t cwp_watch(int32_t pid) {
#if defined(__linux__) && defined(SYS_pidfd_open)
    int fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    if (fd >= 0) return fd;
    if (errno == EMFILE || errno == ENFILE || errno == ENOMEM) return -errno;
#endif
    // An older kernel, or one that forbids it: a thread waits, and the end of a pipe tells.
    int32_t ends[2];
    int status = cwp_pipe(ends);
    if (status < 0) return status;
    struct watched *watched = malloc(sizeof *watched);
    pthread_t thread;
    if (watched) *watched = (struct watched){pid, ends[1]};
    int error = watched ? pthread_create(&thread, NULL, wait_for_end, watched) : ENOMEM;
    if (error != 0) {
        free(watched);
        close(ends[0]);
        close(ends[1]);
        return -error;
    }
    pthread_detach(thread);
    return ends[0];
}

int32_t cwp_reap(int32_t pid, int32_t *code, int32_t *signal, int32_t *dumped_core) {
    int status = 0;
    pid_t result;
    do { result = waitpid(pid, &status, 0); } while (result < 0 && errno == EINTR);
    if (result < 0) return -errno;
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    *signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    *dumped_core = WIFSIGNALED(status) && WCOREDUMP(status) ? 1 : 0;
    return 0;
}

// One pipe for the life of the process: a handler that runs late still writes to a pipe of ours.
static int32_t signal_pipe[2] = {-1, -1};
static atomic_int signal_writer = -1;
static atomic_flag signals_in_use = ATOMIC_FLAG_INIT;
static struct sigaction previous[NSIG];
static int caught[NSIG];

static void handle_signal(int number, siginfo_t *info, void *context) {
    (void)context;
    int error = errno;
#ifdef __linux__
    int to_group = info->si_code == SI_KERNEL;
#else
    int to_group = info->si_pid == 0;
#endif
    struct cwp_signal seen = {(uint8_t)number, (uint8_t)to_group};
    int writer = atomic_load(&signal_writer);
    if (writer >= 0) {
        ssize_t ignored = write(writer, &seen, sizeof seen);
        (void)ignored;
    }
    errno = error;
}

int32_t cwp_signals_begin(const int32_t *signals, int32_t count) {
    if (atomic_flag_test_and_set(&signals_in_use)) return -EBUSY;
    if (signal_pipe[0] < 0) {
        int status = cwp_pipe(signal_pipe);
        if (status < 0) {
            atomic_flag_clear(&signals_in_use);
            return status;
        }
    }
    char left_over[64];
    while (read(signal_pipe[0], left_over, sizeof left_over) > 0) {}
    atomic_store(&signal_writer, signal_pipe[1]);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handle_signal;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < count; i++) {
        int number = signals[i];
        if (number <= 0 || number >= NSIG || sigaction(number, NULL, &previous[number]) < 0) continue;
        if (previous[number].sa_handler == SIG_IGN) continue;
        caught[number] = sigaction(number, &action, NULL) == 0;
    }
    return signal_pipe[0];
}

void cwp_signals_end(void) {
    for (int number = 1; number < NSIG; number++) {
        if (caught[number]) sigaction(number, &previous[number], NULL);
        caught[number] = 0;
    }
    atomic_store(&signal_writer, -1);
    atomic_flag_clear(&signals_in_use);
}

void cwp_unblock_signals(void) {
    sigset_t none;
    sigemptyset(&none);
    pthread_sigmask(SIG_SETMASK, &none, NULL);
}

struct thread {
    void (*body)(void *);
    void *context;
};

static void *run_thread(void *argument) {
    struct thread thread = *(struct thread *)argument;
    free(argument);
    thread.body(thread.context);
    return NULL;
}

int32_t cwp_thread(void (*body)(void *), void *context) {
    struct thread *thread = malloc(sizeof *thread);
    if (!thread) return -ENOMEM;
    *thread = (struct thread){body, context};
    pthread_t handle;
    int error = pthread_create(&handle, NULL, run_thread, thread);
    if (error != 0) {
        free(thread);
        return -error;
    }
    pthread_detach(handle);
    return 0;
}

int32_t cwp_listen(
    const char *host, int32_t port, int32_t backlog, char canonical[CWP_HOST_SIZE],
    int32_t *actual_port
) {
    char service[16];
    snprintf(service, sizeof service, "%d", (int)port);
    struct addrinfo hints = {
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    struct addrinfo *address = NULL;
    if (getaddrinfo(host, service, &hints, &address) != 0 || !address) return -EINVAL;
    int result, on = 1;
    struct sockaddr_storage bound;
    socklen_t length = sizeof bound;
    int fd = socket(address->ai_family, SOCK_STREAM, 0);
    if (fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0
        || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0
        || bind(fd, address->ai_addr, address->ai_addrlen) < 0 || listen(fd, backlog) < 0
        || getsockname(fd, (struct sockaddr *)&bound, &length) < 0) {
        result = -errno;
    } else if (getnameinfo(
                   (struct sockaddr *)&bound, length, canonical, CWP_HOST_SIZE, NULL, 0,
                   NI_NUMERICHOST) != 0) {
        result = -EINVAL;
    } else {
        *actual_port = ntohs(
            bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                        : ((struct sockaddr_in *)&bound)->sin_port);
        result = fd;
    }
    freeaddrinfo(address);
    if (result < 0 && fd >= 0) close(fd);
    return result;
}

char *const *cwp_environment(void) { return environ; }

int32_t cwp_executable(char *path, size_t size) {
#ifdef __linux__
    // Not where it leads: this one serves even after the file has been replaced.
    static const char link[] = "/proc/self/exe";
    if (size < sizeof link) return -ENAMETOOLONG;
    memcpy(path, link, sizeof link);
    return 0;
#else
    uint32_t length = (uint32_t)size;
    return _NSGetExecutablePath(path, &length) == 0 ? 0 : -ENAMETOOLONG;
#endif
}
