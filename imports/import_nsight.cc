#include <charconv>
#include <optional>
#include <string>

#include "core/error.h"
#include "imports/gpu_trace.h"
#include "imports/importers.h"
#include "traces/nsight_file.h"

namespace shardlab {
namespace {

/// The number behind "seq = ", which torch.autograd.profiler.emit_nvtx puts behind names.
std::optional<std::int64_t> sequence_in(std::string_view name) {
  constexpr std::string_view kKey = ", seq = ";
  const std::size_t at = name.find(kKey);
  if (at == std::string_view::npos) return {};
  std::int64_t number = 0;
  const char* const begin = name.data() + at + kKey.size();
  const auto [end, problem] = std::from_chars(begin, name.data() + name.size(), number);
  if (problem != std::errc{} || end == begin) return {};
  return number;
}

class NsightImport : public NsightReader {
 public:
  explicit NsightImport(const ImportOptions& options) : rules_(options), trace_(rules_, options) {}

  void work(const Work& work) override {
    std::optional<std::uint32_t> process;
    if (work.process) process = number(*work.process);
    trace_.work({work.correlation, work.start_ns, work.end_ns, work.device}, work.kernel, process);
  }

  void copy(const Copy& copy) override {
    const auto& [correlation, start_ns, end_ns, device, process, kernel] = copy.work;
    std::optional<std::uint32_t> of_process;
    if (process) of_process = number(*process);
    trace_.copy({correlation, start_ns, end_ns, device}, copy.of, copy.bytes, of_process);
  }

  void launch(const Launch& launch) override {
    trace_.launch(launch.correlation, {launch.thread, number(launch.process)}, launch.start_ns);
  }

  void range(const Range& range) override {
    const std::string_view name = range.name.substr(0, range.name.find(", seq = "));
    const bool autograd = name.starts_with("autograd::");
    const HostThread thread{range.thread, number(range.process)};
    const auto sequence = sequence_in(range.name);
    if (sequence) {
      const bool backward = autograd || name.find("Backward") != std::string_view::npos;
      trace_.numbered(backward, *sequence, thread, range.start_ns, range.end_ns);
    }
    const bool module = name.starts_with("nn.Module: ");
    const bool operation = sequence || autograd || name.starts_with("aten::");
    trace_.range(name,
                 module      ? RangeSource::kModule
                 : operation ? RangeSource::kOperator
                             : RangeSource::kAnnotation,
                 thread, range.start_ns, range.end_ns);
  }

  void finish(const NsightFacts& facts, Imported& to) {
    try {
      trace_.finish(facts.devices, to);
    } catch (const Error& error) {
      throw Error(error.what() + what_was_lost(facts.unusable, "rows"));
    }
    for (const auto& [why, count] : facts.unusable) to.unused.push_back({count, "rows", why});
  }

 private:
  std::uint32_t number(std::int64_t process) { return trace_.process(std::to_string(process)); }

  RangeRules rules_;
  GpuTrace trace_;
};

}  // namespace

Imported import_nsight(const SqliteDatabase& from, const std::string& name,
                       const ImportOptions& options) {
  Imported result = blank_import(name, options);
  result.model.batch = batch_of(options, 0);
  result.method =
      "Nsight Systems: device time of what each layer launched, median over minibatches";
  NsightImport import(options);
  import.finish(read_nsight(from, import), result);
  return result;
}

Imported import_nsight(const std::string& path, const ImportOptions& options) {
  return in_context(path, [&] { return import_nsight(SqliteDatabase::open(path), path, options); });
}

}  // namespace shardlab
