/* SPDX-License-Identifier: MIT */
/* The process runner: what reaches the child, what it is denied, and that nothing is left of it. */
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "tap_main.h"

#define SH "/bin/sh"

struct output {
    char text[65536];
    size_t size;
    size_t stop_at;     /* ask to stop when so much has come; 0 = never */
    size_t fed;
};

static int collect(void *arg, const char *bytes, size_t size)
{
    struct output *output = arg;

    if (output->size + size < sizeof(output->text)) {
        memcpy(output->text + output->size, bytes, size);
        output->size += size;
    }
    return output->stop_at > 0 && output->size >= output->stop_at;
}

static void count_fed(void *arg, size_t fed)
{
    struct output *output = arg;

    output->fed = fed;
}

static int run_shell(const char *script, struct child_spec spec, struct output *output,
                     struct child_result *result)
{
    const char *const argv[] = { "sh", "-c", script, NULL };

    spec.program = SH;
    spec.argv = argv;
    spec.on_output = collect;
    spec.arg = output;
    if (spec.time_limit_ms == 0)
        spec.time_limit_ms = 20000;
    return child_run(&spec, result);
}

static int count_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int n = 0;

    ck_assert_ptr_nonnull(folder);
    while (readdir(folder))
        n++;
    closedir(folder);
    return n;
}

static int is_alive(pid_t pid)
{
    return kill(pid, 0) == 0 || errno != ESRCH;
}

static struct output output;
static struct child_result result;
static int fds_before;

static void begin(void)
{
    memset(&output, 0, sizeof(output));
    signal(SIGPIPE, SIG_IGN);
    fds_before = count_fds();
}

/* On every path: no descriptor and no child is left. */
static void end(void)
{
    ck_assert_int_eq(count_fds(), fds_before);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
}

START_TEST(arguments_arrive_as_they_are)
{
    const char *const argv[] = {
        "printf", "[%s]", "a b", "\"'", "$(id)", "`id`", ";rm", "-x", "\n", "*", "\xff\x01", "", NULL,
    };
    struct child_spec spec = {
        .program = "/usr/bin/printf", .argv = argv, .time_limit_ms = 20000,
        .on_output = collect, .arg = &output,
    };

    ck_assert_int_eq(child_run(&spec, &result), 0);
    ck_assert_str_eq(output.text, "[a b][\"'][$(id)][`id`][;rm][-x][\n][*][\xff\x01][]");
}
END_TEST

/* A step's program starts ffmpeg the same way: were it added up, the last of them would hardly run at all. */
START_TEST(it_is_at_least_so_nice)
{
    const int ours = getpriority(PRIO_PROCESS, 0) + 2 < 19 ? getpriority(PRIO_PROCESS, 0) + 2 : 19;
    char expected[16];

    ck_assert_int_eq(setpriority(PRIO_PROCESS, 0, ours), 0);
    for (int asked = 0; asked <= 19; asked += 6) {
        memset(&output, 0, sizeof(output));
        ck_assert_int_eq(run_shell("nice", (struct child_spec){ .nice = asked }, &output, &result), 0);
        snprintf(expected, sizeof(expected), "%d\n", asked > ours ? asked : ours);
        ck_assert_str_eq(output.text, expected);
    }
}
END_TEST

START_TEST(exit_status_and_last_words)
{
    ck_assert_int_eq(
        run_shell("echo one >&2; echo two >&2; exit 7", (struct child_spec){ 0 }, &output, &result), -1);
    ck_assert_int_eq(result.end, CHILD_EXITED);
    ck_assert_int_eq(result.code, 7);
    ck_assert_str_eq(result.error_text, "one\ntwo\n");
    ck_assert_uint_eq(result.error_lines, 2);
}
END_TEST

START_TEST(only_the_end_of_much_complaining_is_kept)
{
    const char script[] =
        "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done >&2; echo last >&2; exit 1";
    size_t length;

    ck_assert_int_eq(run_shell(script, (struct child_spec){ 0 }, &output, &result), -1);
    length = strlen(result.error_text);
    ck_assert_uint_eq(length, CHILD_ERROR_BYTES);
    ck_assert_uint_eq(result.error_lines, 3001);
    ck_assert_str_eq(result.error_text + length - 15, "line 2999\nlast\n");
}
END_TEST

START_TEST(a_program_that_is_not_there)
{
    const char *const argv[] = { "x", NULL };
    struct child_spec spec = { .program = "/nonexistent/x", .argv = argv };

    ck_assert_int_eq(child_run(&spec, &result), -1);
    ck_assert_int_eq(result.end, CHILD_NOT_STARTED);
    ck_assert_int_eq(result.code, ENOENT);
}
END_TEST

START_TEST(a_foreign_signal_is_told)
{
    ck_assert_int_eq(run_shell("kill -SEGV $$", (struct child_spec){ 0 }, &output, &result), -1);
    ck_assert_int_eq(result.end, CHILD_SIGNALLED);
    ck_assert_int_eq(result.code, SIGSEGV);
}
END_TEST

START_TEST(time_limit_ends_the_whole_group)
{
    pid_t inner;

    /* The first line is the id of a grandchild that ignores everything but KILL. */
    ck_assert_int_eq(run_shell("trap '' TERM HUP INT; sleep 60 & echo $!; wait", (struct child_spec){
                                   .time_limit_ms = 300 }, &output, &result), -1);
    ck_assert_int_eq(result.end, CHILD_TIMED_OUT);
    inner = (pid_t)strtol(output.text, NULL, 10);
    ck_assert_int_gt(inner, 1);
    /* It is killed; its new parent reaps it in its own time. */
    for (int i = 0; i < 200 && is_alive(inner); i++)
        poll(NULL, 0, 10);
    ck_assert(!is_alive(inner));
}
END_TEST

START_TEST(descendants_do_not_outlive_the_child)
{
    pid_t inner;

    ck_assert_int_eq(run_shell("sleep 60 & echo $!", (struct child_spec){ 0 }, &output, &result), 0);
    inner = (pid_t)strtol(output.text, NULL, 10);
    ck_assert_int_gt(inner, 1);
    for (int i = 0; i < 200 && is_alive(inner); i++)
        poll(NULL, 0, 10);
    ck_assert(!is_alive(inner));
}
END_TEST

START_TEST(whoever_left_the_group_is_not_waited_for)
{
    /* It holds our pipes open for a minute; the limit of the test would tell. */
    ck_assert_int_eq(run_shell("setsid sleep 60 & echo $!", (struct child_spec){ 0 }, &output, &result), 0);
    kill((pid_t)strtol(output.text, NULL, 10), SIGKILL);
}
END_TEST

START_TEST(a_callback_stops_it)
{
    output.stop_at = 1;
    ck_assert_int_eq(run_shell("while :; do echo x; done", (struct child_spec){ 0 }, &output, &result), -1);
    ck_assert_int_eq(result.end, CHILD_STOPPED);
}
END_TEST

START_TEST(a_descriptor_cancels_it)
{
    int ends[2];

    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(write(ends[1], "x", 1), 1);
    ck_assert_int_eq(run_shell("sleep 60", (struct child_spec){ .cancel_fd = ends[0] }, &output, &result),
                     -1);
    ck_assert_int_eq(result.end, CHILD_CANCELLED);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(memory_is_limited)
{
    /* dd needs one block of memory. */
    const char script[] = "dd if=/dev/zero of=/dev/null bs=400M count=1 2>/dev/null";

    ck_assert_int_eq(
        run_shell(script, (struct child_spec){ .memory_limit_bytes = 100u << 20 }, &output, &result), -1);
    ck_assert_int_eq(
        run_shell(script, (struct child_spec){ .memory_limit_bytes = 1000u << 20 }, &output, &result), 0);
}
END_TEST

START_TEST(processor_time_is_limited)
{
    ck_assert_int_eq(
        run_shell("while :; do :; done", (struct child_spec){ .cpu_limit_s = 1 }, &output, &result), -1);
    ck_assert_int_eq(result.end, CHILD_SIGNALLED);
    ck_assert(result.code == SIGKILL || result.code == SIGXCPU);
}
END_TEST

START_TEST(input_is_fed_and_counted)
{
    size_t size = 3 << 20;
    char *input = malloc(size);

    ck_assert_ptr_nonnull(input);
    memset(input, 'i', size);
    ck_assert_int_eq(run_shell("wc -c",
                               (struct child_spec){ .input = input, .input_size = size, .on_fed = count_fed },
                               &output, &result),
                     0);
    ck_assert_int_eq(atoi(output.text), (int)size);
    ck_assert_uint_eq(output.fed, size);
    free(input);
}
END_TEST

START_TEST(a_child_that_does_not_read_is_no_failure)
{
    size_t size = 3 << 20;
    char *input = calloc(1, size);

    ck_assert_int_eq(run_shell("exec <&-; echo done",
                               (struct child_spec){ .input = input, .input_size = size }, &output, &result),
                     0);
    ck_assert_str_eq(output.text, "done\n");
    ck_assert_uint_lt(output.fed, size);
    free(input);
}
END_TEST

START_TEST(progress_has_its_own_descriptor)
{
    const char *const argv[] = { "sh", "-c", "echo fd $JOBQ_PROGRESS_FD >&\"$JOBQ_PROGRESS_FD\"; echo hidden",
                                 NULL };
    struct child_spec spec = {
        .program = SH, .argv = argv, .on_progress = collect, .arg = &output, .time_limit_ms = 20000,
    };

    ck_assert_int_eq(child_run(&spec, &result), 0);
    ck_assert_str_eq(output.text, "fd 3\n");
}
END_TEST

START_TEST(environment_and_descriptors_are_small)
{
    int stray = dup(STDIN_FILENO);      /* without close-on-exec, as another thread may have it */
    const char *const more[] = { "MORE=1", NULL };

    setenv("SECRET_OF_OURS", "x", 1);
    /* The fourth is the folder that the shell reads. */
    ck_assert_int_eq(run_shell("for f in /proc/$$/fd/*; do printf '%s ' \"${f##*/}\"; done; env",
                               (struct child_spec){ .env = more }, &output, &result), 0);
    ck_assert_msg(strncmp(output.text, "0 1 2 3 ", 8) == 0 && output.text[8] > '9', "%s", output.text);
    ck_assert_ptr_null(strstr(output.text, "SECRET_OF_OURS"));
    ck_assert_ptr_nonnull(strstr(output.text, "LC_ALL=C\n"));
    ck_assert_ptr_nonnull(strstr(output.text, "MORE=1\n"));
    close(stray);
}
END_TEST

static int tell(void *arg, const char *bytes, size_t size)
{
    return write(*(int *)arg, bytes, size) == (ssize_t)size ? 0 : -1;
}

START_TEST(our_death_is_its_death)
{
    const char *const argv[] = { "sh", "-c", "echo $$; exec sleep 60", NULL };
    int ends[2];
    char text[32] = "";
    pid_t us, child;

    ck_assert_int_eq(pipe(ends), 0);
    us = fork();
    if (us == 0) {
        struct child_spec spec = { .program = SH, .argv = argv, .on_output = tell, .arg = &ends[1] };

        child_run(&spec, &result);
        _exit(0);
    }
    ck_assert_int_gt(read(ends[0], text, sizeof(text) - 1), 0);
    child = (pid_t)strtol(text, NULL, 10);
    ck_assert_int_gt(child, 1);
    kill(us, SIGKILL);
    waitpid(us, NULL, 0);
    for (int i = 0; i < 200 && is_alive(child); i++)
        poll(NULL, 0, 10);
    ck_assert(!is_alive(child));
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(programs_are_found_on_absolute_folders_only)
{
    char path[256];

    setenv("PATH", ":.:bin:/nonexistent:/usr/bin:/bin", 1);
    ck_assert_int_eq(child_find_program("sh", path, sizeof(path)), 0);
    ck_assert_str_eq(path, "/usr/bin/sh");
    ck_assert_int_eq(child_find_program("no-such-program-anywhere", path, sizeof(path)), -1);
    setenv("PATH", ".", 1);
    ck_assert_int_eq(chdir("/bin"), 0);
    ck_assert_int_eq(child_find_program("sh", path, sizeof(path)), -1);
    unsetenv("PATH");
    ck_assert_int_eq(child_find_program("sh", path, sizeof(path)), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("child");
    TCase *tests = tcase_create("child");

    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, begin, end);
    tcase_add_test(tests, arguments_arrive_as_they_are);
    tcase_add_test(tests, it_is_at_least_so_nice);
    tcase_add_test(tests, exit_status_and_last_words);
    tcase_add_test(tests, only_the_end_of_much_complaining_is_kept);
    tcase_add_test(tests, a_program_that_is_not_there);
    tcase_add_test(tests, a_foreign_signal_is_told);
    tcase_add_test(tests, time_limit_ends_the_whole_group);
    tcase_add_test(tests, descendants_do_not_outlive_the_child);
    tcase_add_test(tests, whoever_left_the_group_is_not_waited_for);
    tcase_add_test(tests, a_callback_stops_it);
    tcase_add_test(tests, a_descriptor_cancels_it);
    tcase_add_test(tests, memory_is_limited);
    tcase_add_test(tests, processor_time_is_limited);
    tcase_add_test(tests, input_is_fed_and_counted);
    tcase_add_test(tests, a_child_that_does_not_read_is_no_failure);
    tcase_add_test(tests, progress_has_its_own_descriptor);
    tcase_add_test(tests, environment_and_descriptors_are_small);
    tcase_add_test(tests, our_death_is_its_death);
    tcase_add_test(tests, programs_are_found_on_absolute_folders_only);
    suite_add_tcase(suite, tests);
    return tap_main(suite);
}
