#include "sqlite_peer.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

typedef struct sqlite3 sqlite3;
typedef struct sqlite3_stmt sqlite3_stmt;

static struct {
    int (*open)(const char *, sqlite3 **);
    int (*exec)(sqlite3 *, const char *, int (*)(void *, int, char **, char **), void *, char **);
    int (*prepare)(sqlite3 *, const char *, int, sqlite3_stmt **, const char **);
    int (*bind_blob)(sqlite3_stmt *, int, const void *, int, void (*)(void *));
    int (*step)(sqlite3_stmt *);
    int (*reset)(sqlite3_stmt *);
    int (*finalize)(sqlite3_stmt *);
    int (*close)(sqlite3 *);
    const char *(*errmsg)(sqlite3 *);
} api;

static int load(void) {
    void *library = dlopen("libsqlite3.so.0", RTLD_NOW);
    if (!library) library = dlopen("libsqlite3.dylib", RTLD_NOW);
    if (!library) return 0;
#define LOAD(field, name) *(void **)&api.field = dlsym(library, name)
    LOAD(open, "sqlite3_open");
    LOAD(exec, "sqlite3_exec");
    LOAD(prepare, "sqlite3_prepare_v2");
    LOAD(bind_blob, "sqlite3_bind_blob");
    LOAD(step, "sqlite3_step");
    LOAD(reset, "sqlite3_reset");
    LOAD(finalize, "sqlite3_finalize");
    LOAD(close, "sqlite3_close");
    LOAD(errmsg, "sqlite3_errmsg");
#undef LOAD
    return api.open && api.exec && api.prepare && api.bind_blob && api.step && api.reset
        && api.finalize && api.close && api.errmsg;
}

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

int64_t csqlite_insert(
    const char *path, int64_t count, int64_t batch, char *error, int64_t error_size
) {
    if (!load()) {
        snprintf(error, (size_t)error_size, "libsqlite3.so.0 can't be loaded");
        return -1;
    }
    sqlite3 *database = NULL;
    sqlite3_stmt *insert = NULL;
    char blob[100];
    memset(blob, 'x', sizeof blob);
    int64_t elapsed = -1;
    if (api.open(path, &database) != 0) goto failed;
    if (api.exec(database, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                 "CREATE TABLE log (id INTEGER PRIMARY KEY, bytes BLOB);", NULL, NULL, NULL) != 0)
        goto failed;
    if (api.prepare(database, "INSERT INTO log (bytes) VALUES (?)", -1, &insert, NULL) != 0)
        goto failed;
    int64_t start = now();
    for (int64_t done = 0; done < count;) {
        if (api.exec(database, "BEGIN", NULL, NULL, NULL) != 0) goto failed;
        for (int64_t i = 0; i < batch && done < count; i++, done++) {
            api.bind_blob(insert, 1, blob, sizeof blob, (void (*)(void *))0);
            if (api.step(insert) != 101) goto failed;
            api.reset(insert);
        }
        if (api.exec(database, "COMMIT", NULL, NULL, NULL) != 0) goto failed;
    }
    elapsed = now() - start;
    api.finalize(insert);
    api.close(database);
    return elapsed;
failed:
    snprintf(error, (size_t)error_size, "%s", database ? api.errmsg(database) : "no memory");
    return -1;
}
