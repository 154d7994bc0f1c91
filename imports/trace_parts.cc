#include "imports/trace_parts.h"

#include <charconv>
#include <set>

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {
namespace {

std::optional<std::int64_t> number_of_gpu(const std::string& text) {
  if (text.empty() || text == "all") return {};
  std::int64_t number = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem == std::errc{} && end == text.data() + text.size() && number >= 0) return number;
  throw UsageError(fmt::format("--gpu {}: must be a number or all", text));
}

}  // namespace

TraceParts::TraceParts(const ImportOptions& options)
    : wanted_process_(options.process),
      wanted_gpu_(number_of_gpu(options.gpu)),
      all_gpus_(options.gpu == "all") {}

std::uint32_t TraceParts::process(std::string_view name) {
  if (const auto found = numbers_.find(name); found != numbers_.end()) return found->second;
  if (processes_.size() == kMostProcesses) {
    throw Error(fmt::format("more than {} processes", kMostProcesses));
  }
  const auto number = static_cast<std::uint32_t>(processes_.size());
  processes_.push_back({std::string(name)});
  numbers_.emplace(name, number);
  return number;
}

TraceParts::Process& TraceParts::at(std::uint32_t process) {
  if (process >= processes_.size()) processes_.resize(process + 1);
  return processes_[process];
}

bool TraceParts::wanted(std::uint32_t process) const {
  return wanted_process_.empty() ||
         (process < processes_.size() && processes_[process].name == wanted_process_);
}

bool TraceParts::take(std::int64_t device) {
  ++gpus_[device];
  return wanted_gpu(device);
}

std::string TraceParts::gpus_text() const {
  std::string text;
  for (const auto& [gpu, kernels] : gpus_) {
    text += fmt::format("{}{} ({} kernels)", text.empty() ? "" : ", ", gpu, kernels);
  }
  return text.empty() ? "none" : text;
}

void TraceParts::refuse_what_is_not_there() const {
  if (wanted_gpu_ && !gpus_.contains(*wanted_gpu_)) {
    throw Error(
        fmt::format("--gpu {}: no kernel of it; there are GPUs {}", *wanted_gpu_, gpus_text()));
  }
  if (wanted_process_.empty() || numbers_.contains(wanted_process_)) return;
  std::string text;
  for (const auto& [name, number] : numbers_) text += (text.empty() ? "" : ", ") + name;
  throw Error(fmt::format("--process {}: there is none; there are {}", wanted_process_, text));
}

void TraceParts::refuse_several_gpus() const {
  if (wanted_gpu_ || all_gpus_ || gpus_.size() < 2) return;
  throw Error(fmt::format(
      "it is of several GPUs, {}: choose one with --gpu {}, or take a model that is spread over "
      "them as one device with --gpu all",
      gpus_text(), gpus_.begin()->first));
}

void TraceParts::refuse_several_processes() const {
  if (!wanted_process_.empty()) return;
  std::string text;
  std::int64_t count = 0;
  const Process* most = nullptr;
  for (const Process& each : processes_) {
    if (each.ranges + each.works == 0) continue;
    ++count;
    if (most == nullptr || each.works > most->works) most = &each;
    text += fmt::format("{}{} ({} launches, {} ranges)", text.empty() ? "" : ", ", each.name,
                        each.works, each.ranges);
  }
  if (count < 2) return;
  throw Error(fmt::format("it is of several processes, {}: choose one with --process {}{}", text,
                          most->name, gpus_.size() > 1 ? ", and its GPU with --gpu" : ""));
}

std::string TraceParts::device_name(const std::map<std::int64_t, std::string>& names) const {
  std::set<std::string> found;
  for (const auto& [gpu, kernels] : gpus_) {
    if (wanted_gpu_ && *wanted_gpu_ != gpu) continue;
    const auto name = names.find(gpu);
    found.insert(name == names.end() || name->second.empty() ? kNotRecorded : name->second);
  }
  if (found.empty()) return kNotRecorded;
  if (found.size() == 1) return *found.begin();
  throw Error(fmt::format("its GPUs are unlike, {} and {}: choose one with --gpu", *found.begin(),
                          *std::next(found.begin())));
}

}  // namespace shardlab
