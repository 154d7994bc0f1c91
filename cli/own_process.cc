#include "cli/own_process.h"

#include <cstring>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"

namespace shardlab {

int run_own_process(const std::vector<std::string>& arguments) {
  std::vector<std::string> copies{"shardlab"};
  copies.insert(copies.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& each : copies) pointers.push_back(each.data());
  pointers.push_back(nullptr);
  posix_spawn_file_actions_t streams;
  posix_spawn_file_actions_init(&streams);
  posix_spawn_file_actions_adddup2(&streams, STDERR_FILENO, STDOUT_FILENO);
  pid_t process = 0;
  const int failed =
      posix_spawn(&process, "/proc/self/exe", &streams, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&streams);
  if (failed != 0) throw Error(std::string("cannot start another process: ") + strerror(failed));
  int status = 0;
  while (waitpid(process, &status, 0) < 0) {
    if (errno != EINTR) throw Error(std::string("cannot wait for a process: ") + strerror(errno));
  }
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  throw Error(std::string("the process of its own ended by a signal: ") +
              strsignal(WTERMSIG(status)));
}

}  // namespace shardlab
