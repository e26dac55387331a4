// `timed NAME EXPECTED PROGRAM ARGUMENT...` measures a program from outside: its time from fork to
// wait, provided that it ends well and prints EXPECTED. `timed now` prints the clock.

#include "measure.h"
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **arguments) {
  if (count == 2 && strcmp(arguments[1], "now") == 0) {
    printf("%" PRIu64 "\n", nanoseconds());
    return 0;
  }
  if (count < 4) {
    fprintf(stderr, "usage: timed now | timed NAME EXPECTED PROGRAM ARGUMENT...\n");
    return 2;
  }
  int ends[2];
  require(pipe(ends) == 0, "a pipe");
  uint64_t start = nanoseconds();
  pid_t process = fork();
  if (process == 0) {
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    execv(arguments[3], arguments + 3);
    _exit(127);
  }
  close(ends[1]);
  char said[256];
  size_t length = 0;
  ssize_t got;
  while ((got = read(ends[0], said + length, sizeof said - 1 - length)) > 0) length += (size_t)got;
  int status = 0;
  require(process > 0 && waitpid(process, &status, 0) == process, "fork and wait");
  uint64_t end = nanoseconds();
  while (length > 0 && said[length - 1] == '\n') length--;
  said[length] = 0;
  require(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status of the program");
  require(strcmp(said, arguments[2]) == 0, said);
  report(arguments[1], (double)(end - start) / 1e6, "ms");
  return 0;
}
