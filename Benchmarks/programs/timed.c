// Measures programs from outside, and keeps them within bounds.
//
//   timed NAME EXPECTED PROGRAM ARGUMENT...    milliseconds from fork to wait, provided that it ends
//                                              well and prints EXPECTED
//   timed limit SECONDS PROGRAM ARGUMENT...    ends it and its children after so long
//   timed processors COUNT PROGRAM ARGUMENT... lets it run on the first COUNT processors only
//   timed now                                  prints the clock

#include "measure.h"
#include <inttypes.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { cannotExecute = 127, tookTooLong = 124 };

static char **command;
static const char *expected;

static void execute(char **program) {
  execv(program[0], program);
  perror(program[0]);
  _exit(cannotExecute);
}

static void run(void) {
  int ends[2];
  require(pipe(ends) == 0, "a pipe");
  pid_t process = fork();
  if (process == 0) {
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    execute(command);
  }
  close(ends[1]);
  char said[256];
  size_t length = 0;
  ssize_t got;
  while ((got = read(ends[0], said + length, sizeof said - 1 - length)) > 0) length += (size_t)got;
  close(ends[0]);
  int status = 0;
  require(process > 0 && waitpid(process, &status, 0) == process, "fork and wait");
  while (length > 0 && said[length - 1] == '\n') length--;
  said[length] = 0;
  require(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status of the program");
  require(strcmp(said, expected) == 0, said);
}

static void work(uint64_t count) {
  while (count-- > 0) run();
}

static void measure(const char *name) {
  // Once for the caches, of files, of the processor and of whoever translates the program.
  run();
  report(name, nanosecondsEach(work) / 1e6, "ms");
}

/// The program in a group of its own, for all of it to be ended; its status.
static int limit(unsigned seconds, char **program) {
  sigset_t ended;
  sigemptyset(&ended);
  sigaddset(&ended, SIGCHLD);
  // Before there is a child, so that its end is not missed.
  sigprocmask(SIG_BLOCK, &ended, NULL);
  pid_t process = fork();
  require(process >= 0, "fork");
  if (process == 0) {
    setpgid(0, 0);
    sigprocmask(SIG_UNBLOCK, &ended, NULL);
    execute(program);
  }
  const struct timespec second = {1, 0};
  int status = 0;
  for (uint64_t end = nanoseconds() + seconds * 1000000000ull;;) {
    pid_t found = waitpid(process, &status, WNOHANG);
    require(found >= 0, "wait");
    if (found == process) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (nanoseconds() >= end) break;
    sigtimedwait(&ended, NULL, &second);
  }
  kill(-process, SIGKILL);
  waitpid(process, &status, 0);
  fprintf(stderr, "not done after %u s\n", seconds);
  return tookTooLong;
}

static void confine(int count, char **program) {
  cpu_set_t allowed;
  require(sched_getaffinity(0, sizeof allowed, &allowed) == 0, "the processors");
  for (int processor = 0; processor < CPU_SETSIZE; processor++) {
    if (CPU_ISSET(processor, &allowed) && count-- <= 0) CPU_CLR(processor, &allowed);
  }
  require(sched_setaffinity(0, sizeof allowed, &allowed) == 0, "fewer processors");
  execute(program);
}

int main(int count, char **arguments) {
  if (count == 2 && strcmp(arguments[1], "now") == 0) {
    printf("%" PRIu64 "\n", nanoseconds());
    return 0;
  }
  if (count < 4) {
    fprintf(stderr, "usage: timed now | NAME EXPECTED | limit SECONDS | processors COUNT, and a "
                    "program\n");
    return 2;
  }
  command = arguments + 3;
  expected = arguments[2];
  if (strcmp(arguments[1], "limit") == 0)
    return limit((unsigned)strtoul(expected, NULL, 10), command);
  if (strcmp(arguments[1], "processors") == 0) confine(atoi(expected), command);
  measure(arguments[1]);
  return 0;
}
