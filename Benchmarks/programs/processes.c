// Processes: fork, exec of a static program that does nothing, and wait for it, again and again.
// Page tables, page faults, the kernel's entry code.

#include "measure.h"
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { rounds = 300, expectedStatus = 23 };

int main(int count, char **arguments) {
  if (count > 1 && strcmp(arguments[1], "child") == 0) _exit(expectedStatus);
  uint64_t start = nanoseconds();
  for (int round = 0; round < rounds; round++) {
    pid_t process = fork();
    if (process == 0) {
      execl("/proc/self/exe", arguments[0], "child", (char *)NULL);
      _exit(127);
    }
    int status = 0;
    require(process > 0 && waitpid(process, &status, 0) == process, "fork and wait");
    require(WIFEXITED(status) && WEXITSTATUS(status) == expectedStatus, "status of the child");
  }
  uint64_t end = nanoseconds();
  report("fork-exec", (double)(end - start) / rounds / 1e3, "us");
  return 0;
}
