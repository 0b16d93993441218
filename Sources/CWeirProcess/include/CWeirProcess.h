#pragma once
#include <stddef.h>
#include <stdint.h>

// What Swift cannot do safely: code between fork and exec, a signal handler, variadic calls.
// Functions that can fail return a negative errno.

/// What a worker is started with.
struct cwp_command {
    /// Absolute path of the file to execute.
    const char *path;
    /// The worker's argv and environment, each ended by a null pointer.
    char *const *arguments;
    char *const *environment;
    /// Descriptors that become 3, 4, … of the worker; no others beyond 0, 1, 2 are inherited.
    const int32_t *descriptors;
    int32_t descriptor_count;
    /// Signal that the worker gets when the calling thread ends; Linux only.
    int32_t orphan_signal;
};

/// Starts a worker; returns its id once the file is being executed.
int32_t cwp_spawn(const struct cwp_command *command);

/// Returns a descriptor that becomes readable when the child has ended.
int32_t cwp_watch(int32_t pid);

/// Collects an ended child: its exit code, or else the signal that killed it.
int32_t cwp_reap(int32_t pid, int32_t *code, int32_t *signal, int32_t *dumped_core);

/// A signal as the handler saw it.
struct cwp_signal {
    uint8_t number;
    /// Sent by the kernel to the terminal's whole foreground group, so the worker has it too.
    uint8_t to_group;
};

/// Catches the signals; returns a descriptor to read `cwp_signal`s from, -EBUSY when in use.
/// Signals that are ignored (nohup) stay ignored.
int32_t cwp_signals_begin(const int32_t *signals, int32_t count);

/// Restores what was done with the signals before.
void cwp_signals_end(void);

/// Lets the calling thread receive signals whatever mask it has inherited.
void cwp_unblock_signals(void);

/// Makes a pipe whose ends are closed on exec and do not block.
int32_t cwp_pipe(int32_t ends[2]);

/// Runs `body` on a new, detached thread.
int32_t cwp_thread(void (*body)(void *), void *context);

enum { CWP_HOST_SIZE = 64 };

/// Binds and listens on a numeric address; fills in the address's usual text and the actual port.
int32_t cwp_listen(
    const char *host, int32_t port, int32_t backlog, char canonical[CWP_HOST_SIZE],
    int32_t *actual_port);

/// The process's environment.
char *const *cwp_environment(void);

/// Writes the path of this process's executable; returns 0 when it fits.
int32_t cwp_executable(char *path, size_t size);
