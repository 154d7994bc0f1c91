#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "imports/imported.h"

namespace shardlab {

/// The processes and GPUs of a trace, of which one each makes a profile: several ranks recorded
/// into one file would be taken for one.
class TraceParts {
 public:
  static constexpr std::uint32_t kMostProcesses = 4096;

  /// Throws UsageError where --gpu is neither a number nor `all`.
  explicit TraceParts(const ImportOptions& options);

  /// A number for a process of that name. Throws Error where there are more than kMostProcesses.
  std::uint32_t process(std::string_view name);
  /// False: another was chosen by --process.
  [[nodiscard]] bool wanted(std::uint32_t process) const;
  /// Ranges of a process; its kernels are added by add_work().
  void add_range(std::uint32_t process) { ++at(process).ranges; }
  void add_work(std::uint32_t process) { ++at(process).works; }

  /// A kernel of that device; false: another was chosen by --gpu.
  bool take(std::int64_t device);
  [[nodiscard]] bool wanted_gpu(std::int64_t device) const {
    return !wanted_gpu_ || *wanted_gpu_ == device;
  }

  /// Throw Error naming the GPUs and processes that there are: where the one that was chosen is not
  /// among them, where there are several and none was chosen.
  void refuse_what_is_not_there() const;
  void refuse_several_gpus() const;
  /// The same of processes with ranges or with work.
  void refuse_several_processes() const;
  /// Launches of several processes may have one number, and their kernels cannot be told apart
  /// where a GPU is of several processes.
  [[nodiscard]] bool may_collide() const { return gpus_.size() < processes_.size(); }

  /// The one that is imported, as facts name it; where it is `all`, all of one name. Throws
  /// Error where they have several.
  [[nodiscard]] std::string device_name(const std::map<std::int64_t, std::string>& names) const;

 private:
  struct Process {
    std::string name;
    std::int64_t ranges = 0, works = 0;
  };
  Process& at(std::uint32_t process);
  [[nodiscard]] std::string gpus_text() const;

  std::string wanted_process_;
  std::optional<std::int64_t> wanted_gpu_;
  bool all_gpus_ = false;
  std::vector<Process> processes_;
  std::map<std::string, std::uint32_t, std::less<>> numbers_;
  std::map<std::int64_t, std::int64_t> gpus_;  ///< Kernels of each.
};

}  // namespace shardlab
