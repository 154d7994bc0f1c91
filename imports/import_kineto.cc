#include <fmt/format.h>

#include "core/error.h"
#include "imports/gpu_trace.h"
#include "imports/importers.h"
#include "traces/kineto_file.h"

namespace shardlab {
namespace {

/// Old traces have annotations among operators.
bool made_by_profiler(std::string_view name) {
  return name.starts_with("ProfilerStep#") || name.starts_with("Optimizer.");
}

class KinetoImport {
 public:
  explicit KinetoImport(const ImportOptions& options) : rules_(options), trace_(rules_, options) {}

  void take(const KinetoEvent& event) {
    switch (event.kind) {
      case KinetoKind::kKernel:
      case KinetoKind::kSet:
        work(event);
        return;
      case KinetoKind::kCopy:
        copy(event);
        return;
      case KinetoKind::kLaunch:
        if (event.correlation != KinetoEvent::kNone) {
          trace_.launch(event.correlation, thread_of(event), event.start_ns);
        }
        return;
      case KinetoKind::kOperator:
        if (event.sequence != KinetoEvent::kNone) {
          trace_.numbered(event.backward, event.sequence, thread_of(event), event.start_ns,
                          event.end_ns);
        } else if (event.name.find("Backward") != std::string_view::npos) {
          trace_.unnumbered(thread_of(event), event.start_ns, event.end_ns);
        }
        if (!event.types.empty()) trace_.product(event.types);
        range(event,
              made_by_profiler(event.name) ? RangeSource::kAnnotation : RangeSource::kOperator);
        return;
      case KinetoKind::kAnnotation:
        range(event, RangeSource::kAnnotation);
        return;
      case KinetoKind::kModule:
        range(event, RangeSource::kModule);
        return;
      case KinetoKind::kLink:
        trace_.link(event.backward, event.sequence, thread_of(event), event.start_ns);
        return;
      case KinetoKind::kOther:
        return;
    }
  }

  void finish(const KinetoFacts& facts, Imported& to) {
    trace_.finish(facts.devices, to);
    if (unlinked_ > 0) {
      to.unused.push_back({unlinked_, "kernels", "they have no correlation with a launch"});
    }
    for (const auto& [why, count] : facts.unusable) to.unused.push_back({count, "events", why});
    std::string kinds;
    std::int64_t others = 0;
    for (const auto& [category, count] : facts.others) {
      kinds += fmt::format("{}{} {}", kinds.empty() ? "" : ", ", count, category);
      others += count;
    }
    if (others > 0) {
      to.unused.push_back(
          {others, fmt::format("events ({})", kinds), "nothing of a layer's costs is in them"});
    }
    if (facts.trailing > 0) {
      to.unused.push_back({facts.trailing, "bytes", "they lie behind the end of the trace"});
    }
    if (!facts.cut_off.empty()) {
      to.unused.push_back({1, "end of the trace", facts.cut_off + "; what came before is used"});
    }
    if (facts.rank >= 0)
      to.notes.push_back(fmt::format("rank {} of a distributed run", facts.rank));
  }

 private:
  /// Mostly of the same process as the one before.
  HostThread thread_of(const KinetoEvent& event) {
    if (event.process != process_ || process_.empty()) {
      process_ = event.process;
      number_ = trace_.process(process_);
    }
    return {event.thread, number_};
  }

  void work(const KinetoEvent& event) {
    if (event.correlation == KinetoEvent::kNone) {
      ++unlinked_;
      return;
    }
    trace_.work({event.correlation, event.start_ns, event.end_ns, event.device},
                event.kind == KinetoKind::kKernel ? event.name : "");
  }

  void copy(const KinetoEvent& event) {
    const CopyClass of = kineto_copy(event.name);
    if (!between_host_and_device(of) && event.correlation == KinetoEvent::kNone) {
      ++unlinked_;
      return;
    }
    trace_.copy({event.correlation, event.start_ns, event.end_ns, event.device}, of, event.bytes);
  }

  void range(const KinetoEvent& event, RangeSource source) {
    if (source == RangeSource::kOperator && !rules_.ruled()) return;  // Most of a trace.
    trace_.range(event.name, source, thread_of(event), event.start_ns, event.end_ns);
  }

  RangeRules rules_;
  GpuTrace trace_;
  std::int64_t unlinked_ = 0;
  std::string process_;  ///< The last one, and its number.
  std::uint32_t number_ = 0;
};

}  // namespace

Imported import_kineto(ByteStream& from, const std::string& name, const ImportOptions& options) {
  Imported result = blank_import(name, options);
  result.model.batch = batch_of(options, 0);
  result.method = "Kineto: device time of what each layer launched, median over minibatches";
  KinetoImport import(options);
  const KinetoFacts facts =
      read_kineto(from, [&](const KinetoEvent& event) { import.take(event); });
  if (facts.events == 0) {
    throw Error(facts.cut_off.empty() ? "no event in it; is it a Chrome trace?" : facts.cut_off);
  }
  try {
    import.finish(facts, result);
  } catch (const Error& error) {
    const std::string cut_off = facts.cut_off.empty() ? "" : "; " + facts.cut_off;
    throw Error(error.what() + what_was_lost(facts.unusable, "events") + cut_off);
  }
  return result;
}

Imported import_kineto(const std::string& path, const ImportOptions& options) {
  const auto stream = open_stream(path);
  return in_context(path, [&] { return import_kineto(*stream, path, options); });
}

}  // namespace shardlab
