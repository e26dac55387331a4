// Processes: `processes exec [PROGRAM]` forks, executes the program (else itself, which is static and
// does nothing then) and waits, again and again: page tables, page faults, the kernel's entry code.
// `processes pipe` sends a byte to a process and back, which stays on another processor if there is
// one.

#include "measure.h"
#include <sys/wait.h>
#include <unistd.h>

static const char child[] = "child";
static char *program;
static int toOther[2], fromOther[2];

static void execWork(uint64_t count) {
  while (count-- > 0) {
    pid_t process = fork();
    if (process == 0) {
      execl(program, program, child, (char *)NULL);
      _exit(127);
    }
    int status = 0;
    require(process > 0 && waitpid(process, &status, 0) == process, "fork and wait");
    require(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status of the child");
  }
}

static void exec(char **arguments) {
  program = arguments[0] ? arguments[0] : "/proc/self/exe";
  report(arguments[0] ? "fork-exec-dynamic" : "fork-exec", nanosecondsEach(execWork) / 1e3, "us");
}

static void doNothing(char **arguments) { (void)arguments; }

static void pipeWork(uint64_t count) {
  while (count-- > 0) {
    uint8_t byte = (uint8_t)count;
    require(write(toOther[1], &byte, 1) == 1 && read(fromOther[0], &byte, 1) == 1, "forth, back");
    require(byte == (uint8_t)(count + 1), "the other's answer");
  }
}

static void pingPong(char **arguments) {
  (void)arguments;
  cpu_set_t allowed;
  require(sched_getaffinity(0, sizeof allowed, &allowed) == 0, "the processors");
  require(pipe(toOther) == 0 && pipe(fromOther) == 0, "pipes");
  pid_t other = fork();
  require(other >= 0, "fork");
  if (other == 0) {
    stayOn(1, &allowed);
    close(toOther[1]);
    uint8_t byte;
    while (read(toOther[0], &byte, 1) == 1) {
      byte++;
      if (write(fromOther[1], &byte, 1) != 1) _exit(1);
    }
    _exit(0);
  }
  stayOn(0, &allowed);
  double each = nanosecondsEach(pipeWork);
  close(toOther[1]);
  int status = 0;
  require(waitpid(other, &status, 0) == other && status == 0, "the other's end");
  report("pipe", each / 1e3, "us");
}

int main(int count, char **arguments) {
  (void)count;
  const Part parts[] = {{"exec", exec}, {"pipe", pingPong}, {child, doNothing}};
  return runPart(parts, 3, arguments);
}
