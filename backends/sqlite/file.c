/* SPDX-License-Identifier: MIT */
/* The file and connections to it. */
#include "store.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static int bad_file(struct jobq_error *err, const char *what)
{
    return jobq_error_set(err, JOBQ_UNREACHABLE, "uri", "uri: the file %s", what);
}

/* Made without being opened: a descriptor of our own, when closed, would drop the locks that other connections of this
 * process have on the file. Like O_CREAT | O_EXCL | O_NOFOLLOW it fails where there is anything, also a dangling link. */
static int make_file(const char *path, struct jobq_error *err)
{
    struct stat about;
    if (mknod(path, S_IFREG | S_IRUSR | S_IWUSR, 0) == 0)
        return JOBQ_OK;
    if (errno == EEXIST && stat(path, &about) == 0)
        return JOBQ_OK; /* somebody else was faster */
    if (errno == EEXIST || errno == ENOENT) {
        bool link = lstat(path, &about) == 0 && S_ISLNK(about.st_mode);
        return bad_file(err, link ? "is a symbolic link to nothing; it is not made through a link"
                                  : "cannot be made: its folder does not exist");
    }
    return jobq_error_set(err, JOBQ_UNREACHABLE, "uri", "uri: the file cannot be made: %s", strerror(errno));
}

int sq_file_prepare(const char *path, uint32_t flags, struct jobq_error *err)
{
    struct stat about;
    if (stat(path, &about) == 0) {
        if (S_ISDIR(about.st_mode))
            return bad_file(err, "is a directory");
        return S_ISREG(about.st_mode) ? JOBQ_OK : bad_file(err, "is not a regular file");
    }
    if (errno != ENOENT)
        return jobq_error_set(err, JOBQ_UNREACHABLE, "uri", "uri: the file cannot be looked at: %s", strerror(errno));
    if (flags & (JOBQ_OPEN_NO_CREATE | JOBQ_OPEN_INSPECT))
        return bad_file(err, "does not exist");
    return make_file(path, err);
}

int sq_open_status(const struct jobq_store *s, struct jobq_error *err)
{
    switch (s->fault.code & 0xff) {
    case SQLITE_NOTADB:
        return jobq_error_set(err, JOBQ_FOREIGN, "uri", "uri: the file is not an SQLite database");
    case SQLITE_CORRUPT:
        return jobq_error_set(err, JOBQ_CORRUPT, "uri", "uri: the file is damaged: %s", s->fault.text);
    case SQLITE_NOMEM:
        return jobq_error_set(err, JOBQ_NOMEM, NULL, "out of memory");
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return jobq_error_set(err, JOBQ_UNREACHABLE, "uri", "uri: the file or its folder cannot be written: %s",
                              s->fault.text);
    case SQLITE_FULL:
        return jobq_error_set(err, JOBQ_UNREACHABLE, "uri", "uri: no room for the file: %s", s->fault.text);
    default:
        return jobq_error_set(err, JOBQ_UNREACHABLE, "uri", "uri: sqlite: %s (%d)", s->fault.text, s->fault.code);
    }
}

/* What is in the file is not trusted: its schema may call nothing, its triggers and views do not run. */
static int harden(sqlite3 *db)
{
    const struct {
        int option, value;
    } settings[] = {
        { SQLITE_DBCONFIG_DEFENSIVE, 1 },      { SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0 },
        { SQLITE_DBCONFIG_ENABLE_TRIGGER, 0 }, { SQLITE_DBCONFIG_ENABLE_VIEW, 0 },
        { SQLITE_DBCONFIG_ENABLE_FKEY, 0 },    { SQLITE_DBCONFIG_DQS_DML, 0 },
        { SQLITE_DBCONFIG_DQS_DDL, 0 },        { SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0 },
    };
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        int code = sqlite3_db_config(db, settings[i].option, settings[i].value, NULL);
        if (code != SQLITE_OK)
            return code;
    }
    sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
    return SQLITE_OK;
}

static int tune(const struct jobq_store *s, sqlite3 *db)
{
    int code = sqlite3_exec(db,
                            "PRAGMA secure_delete = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;"
                            "PRAGMA temp_store = MEMORY; PRAGMA cache_size = -4000; PRAGMA wal_autocheckpoint = 0;"
                            "PRAGMA journal_size_limit = 67108864",
                            NULL, NULL, NULL);
    if (code != SQLITE_OK)
        return code;
    return sqlite3_exec(db, s->normal ? "PRAGMA synchronous = NORMAL" : JOBQ_MUTANT(16) ? "PRAGMA synchronous = OFF" : "PRAGMA synchronous = FULL", NULL, NULL, NULL);
}

/* A store object is used by one thread at a time, so SQLite's own locks are not needed. */
int sq_file_connect(struct jobq_store *s, sqlite3 **out, struct jobq_error *err)
{
    int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_PRIVATECACHE;
    flags |= s->inspect ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    sq_gate_begin(s);
    /* Only this one writes the log; the one that makes checkpoints does not. */
    bool writes = out == &s->db && !s->inspect;
    int code = writes ? sq_log_open(&s->log, s->path, out, flags) : sqlite3_open_v2(s->path, out, flags, NULL);
    if (code == SQLITE_OK)
        code = harden(*out);
    if (code == SQLITE_OK)
        code = sqlite3_busy_handler(*out, sq_gate_busy, s);
    if (code == SQLITE_OK)
        code = tune(s, *out);
    if (code == SQLITE_OK && !s->inspect && sqlite3_db_readonly(*out, "main") == 1)
        code = SQLITE_READONLY;
    if (code == SQLITE_OK)
        return JOBQ_OK;
    sq_fault_text(s, code, "%s", *out ? sqlite3_errmsg(*out) : sqlite3_errstr(code));
    if (code == SQLITE_READONLY)
        sq_fault_text(s, code, "read-only");
    sqlite3_close(*out);
    *out = NULL;
    return sq_open_status(s, err);
}
