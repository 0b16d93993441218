// A server of uWebSockets for N2b and N2c, on one loop and one thread, without compression and TLS: texts on
// /events are echoed; bodies that are posted to /events are counted, and what they begin with is summed.
//
// Prints its port. Each line of standard input is answered with the processor time in nanoseconds, user and
// system, the count and the sum since the line before; at the end of the input it ends.

#include <App.h>

#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <thread>

namespace {

struct Connection {};

struct Tally {
    uint64_t count = 0;
    uint64_t sum = 0;
};

long long nanoseconds(const timeval &time) {
    return time.tv_sec * 1000000000LL + time.tv_usec * 1000LL;
}

// Answers one line after the other; the loop's thread alone has the tally.
void answer(uWS::Loop *loop, Tally *tally) {
    char line[64];
    while (fgets(line, sizeof line, stdin)) {
        loop->defer([tally] {
            rusage usage;
            getrusage(RUSAGE_SELF, &usage);
            printf("used %lld %lld %llu %llu\n", nanoseconds(usage.ru_utime), nanoseconds(usage.ru_stime),
                   static_cast<unsigned long long>(tally->count), static_cast<unsigned long long>(tally->sum));
            fflush(stdout);
            *tally = Tally();
        });
    }
    _exit(0);
}

}  // namespace

int main() {
    Tally tally;
    uWS::App app;
    app.ws<Connection>("/events", {
        .compression = uWS::DISABLED,
        .idleTimeout = 0,
        .sendPingsAutomatically = false,
        .message = [](auto *socket, std::string_view message, uWS::OpCode opCode) { socket->send(message, opCode); },
    });
    app.post("/events", [&tally](auto *response, auto *) {
        response->onAborted([] {});
        response->onData([response, &tally, seen = 0u, first = uint64_t(0)](
                             std::string_view chunk, bool isLast) mutable {
            for (size_t index = 0; seen < 8 && index < chunk.size(); index++, seen++) {
                first |= uint64_t(uint8_t(chunk[index])) << (8 * seen);
            }
            if (!isLast) return;
            tally.count++;
            tally.sum += first;
            response->writeStatus("202 Accepted")
                ->writeHeader("Content-Type", "application/json")
                ->end("{\"accepted\":1}");
        });
    });
    app.listen("127.0.0.1", 0, [](us_listen_socket_t *socket) {
        if (!socket) {
            fprintf(stderr, "cannot listen\n");
            _exit(1);
        }
        printf("%d\n", us_socket_local_port(0, reinterpret_cast<us_socket_t *>(socket)));
        fflush(stdout);
    });
    std::thread(answer, uWS::Loop::get(), &tally).detach();
    app.run();
}
