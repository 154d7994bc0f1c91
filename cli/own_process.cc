#include "cli/own_process.h"

#include <chrono>
#include <csignal>
#include <cstring>
#include <optional>
#include <spawn.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {
namespace {

pid_t start(const std::string& program, const std::vector<std::string>& arguments) {
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
      posix_spawn(&process, program.c_str(), &streams, nullptr, pointers.data(), environ);
  posix_spawn_file_actions_destroy(&streams);
  if (failed != 0) throw Error(std::string("cannot start another process: ") + strerror(failed));
  return process;
}

/// Its status; nothing where `options` is WNOHANG and it runs.
std::optional<int> wait_for(pid_t process, int options) {
  int status = 0;
  while (true) {
    const pid_t ended = waitpid(process, &status, options);
    if (ended == process) return status;
    if (ended == 0) return std::nullopt;
    if (errno != EINTR) throw Error(std::string("cannot wait for a process: ") + strerror(errno));
  }
}

}  // namespace

int run_own_process(const std::string& program, const std::vector<std::string>& arguments,
                    Duration limit) {
  constexpr auto kLook = std::chrono::milliseconds(5);
  const auto begin = std::chrono::steady_clock::now();
  const pid_t process = start(program, arguments);
  std::optional<int> status;
  while (!(status = wait_for(process, WNOHANG))) {
    if (std::chrono::steady_clock::now() - begin > limit) {
      kill(process, SIGKILL);
      (void)wait_for(process, 0);
      throw Error(fmt::format("the process of its own had not ended after {:.3g} s and was killed",
                              seconds(limit)));
    }
    std::this_thread::sleep_for(kLook);
  }
  if (WIFEXITED(*status)) return WEXITSTATUS(*status);
  throw Error(std::string("the process of its own was ended by a signal: ") +
              strsignal(WTERMSIG(*status)));
}

}  // namespace shardlab
