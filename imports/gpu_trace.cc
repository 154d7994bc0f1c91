#include "imports/gpu_trace.h"

#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "core/error.h"
#include "imports/trace_places.h"

namespace shardlab {
namespace {

using Why = PlacedWork::Why;

struct Lost {
  std::int64_t count = 0;
  double seconds = 0;
};

void report_lost(const std::map<Why, Lost>& lost, Imported& to) {
  const std::map<Why, std::string> kReasons{
      {Why::kNoLaunch, "their launch is not in the trace"},
      {Why::kOtherProcess, "another process launched them"},
      {Why::kSeveralLaunches, "launches of several processes have their number, on one GPU"},
      {Why::kNoStep, "they were launched outside every minibatch"},
      {Why::kNoLayer, "they were launched in no range of a layer"},
      {Why::kBackwardOfNoLayer, "their forward was in no range of a layer"}};
  for (const auto& [why, what] : lost) {
    to.unused.push_back(
        {what.count, "kernels and copies on the device",
         fmt::format("{}; they took {:.3f} ms", kReasons.at(why), what.seconds * 1e3)});
  }
}

void count(const PlacedWork& placed, std::map<Why, Lost>& lost) {
  Lost& here = lost[placed.why];
  ++here.count;
  here.seconds += seconds(Duration{placed.work.end_ns - placed.work.start_ns});
}

/// Adds up what was found, and counts the rest.
PlaceSums add_up(SortedRecords<PlacedWork>& works, std::size_t held_bytes, Imported& to) {
  PlaceSums sums(held_bytes);
  std::map<Why, Lost> lost;
  auto all = works.read();
  while (const PlacedWork* placed = all.next()) {
    TracePlace place = placed->place;
    if (placed->why != Why::kPlaced) {
      if (placed->work.worked) count(*placed, lost);
      if (placed->why == Why::kOtherProcess) continue;
      place = {};  // It still comes between others.
    }
    sums.add(placed->work, place);
  }
  sums.finish();
  report_lost(lost, to);
  return sums;
}

/// Of a time that is mostly waiting: a stall of the host, not what the layer costs.
std::string stall_text(const LayerCost& layer, CostField field, const Measured& time) {
  constexpr double kBusyShare = 0.1;
  const double busy_ms = seconds(time.busy.value_or(time.median)) * 1e3;
  const double all_ms = seconds(time.median) * 1e3;
  if (busy_ms >= kBusyShare * all_ms) return "";
  return fmt::format("{} of {} is {:.3f} ms, of which the device worked {:.3f} ms", name(field),
                     layer.name, all_ms, busy_ms);
}

void note_stalls(const std::vector<std::string>& stalls, Imported& to) {
  constexpr std::size_t kMostNamed = 8;
  if (stalls.empty()) return;
  std::string text = "the device waited for the host within layers: ";
  for (std::size_t i = 0; i < std::min(stalls.size(), kMostNamed); ++i) {
    text += (i == 0 ? "" : "; ") + stalls[i];
  }
  if (stalls.size() > kMostNamed) text += fmt::format(" and {} more", stalls.size() - kMostNamed);
  to.notes.push_back(std::move(text));
}

constexpr std::size_t kMostOptimizers = 8;  ///< In a message.

/// "SGD" of "Optimizer.step#SGD.step"; empty: it names none.
std::string_view optimizer_class(std::string_view range) {
  constexpr std::string_view kBegin = "Optimizer.step#", kEnd = ".step";
  if (!range.starts_with(kBegin)) return {};
  range.remove_prefix(kBegin.size());
  if (range.ends_with(kEnd)) range.remove_suffix(kEnd.size());
  return range;
}

constexpr std::pair<Phase, CostField> kPhaseFields[] = {{Phase::kForward, CostField::kForward},
                                                        {Phase::kRecompute, CostField::kRecompute},
                                                        {Phase::kBackward, CostField::kBackward}};

}  // namespace

GpuTrace::GpuTrace(const RangeRules& rules, const ImportOptions& options)
    : rules_(rules),
      held_bytes_(options.held_bytes),
      parts_(options),
      options_(options),
      names_(rules),
      launches_(held_bytes_),
      works_(held_bytes_),
      ranges_(held_bytes_),
      operators_(held_bytes_),
      forwards_(held_bytes_),
      link_starts_(held_bytes_),
      backwards_(held_bytes_),
      link_ends_(held_bytes_),
      unnumbered_(held_bytes_),
      copies_(held_bytes_) {}

void GpuTrace::launch(std::int64_t correlation, HostThread thread, std::int64_t at_ns) {
  launches_.add({correlation, at_ns, thread.thread, thread.process});
}

void GpuTrace::work(const TracedWork& work, std::string_view kernel,
                    std::optional<std::uint32_t> process) {
  if (process && !parts_.wanted(*process)) {
    ++others_;
    return;
  }
  if (!parts_.take(work.device)) return;
  works_.add(work);
  worked_ = true;
  if (!kernel.empty()) precisions_.kernel(kernel, Duration{work.end_ns - work.start_ns});
}

void GpuTrace::copy(TracedWork copy, const CopyClass& of, Bytes bytes,
                    std::optional<std::uint32_t> process) {
  copy.copied = of;
  copy.bytes = bytes;
  copy.a_copy = true;
  if (!between_host_and_device(of)) return work(copy, "", process);
  if ((process && !parts_.wanted(*process)) || !parts_.wanted_gpu(copy.device)) return;
  copies_.add(of, bytes, Duration{copy.end_ns - copy.start_ns});
  copy.worked = false;
  works_.add(copy);
}

void GpuTrace::range(std::string_view name, RangeSource source, HostThread thread,
                     std::int64_t start_ns, std::int64_t end_ns) {
  const auto [index, role] = names_.look_up(name, source);
  if (role == RangeRole::kNone) return;
  parts_.add_range(thread.process);
  if (!parts_.wanted(thread.process)) return;
  if (role == RangeRole::kStep) {
    step_range_ = true;
    return steps_.range(start_ns, end_ns);
  }
  if (role == RangeRole::kOptimizer) {
    steps_.optimizer_end(end_ns);
    const std::string_view of = optimizer_class(name);
    if (!of.empty() && optimizers_.size() < kMostOptimizers) optimizers_.emplace(of);
  }
  const TracedRange range{thread.thread, start_ns, end_ns, index, 0};
  if (role == RangeRole::kOperator) return operators_.add({range});
  if (makes_layers(role)) layers_.see(range);
  ranges_.add(range);
}

void GpuTrace::numbered(bool backward, std::int64_t sequence, HostThread thread,
                        std::int64_t start_ns, std::int64_t end_ns) {
  if (!parts_.wanted(thread.process)) return;
  if (backward) {
    backwards_.add({sequence, thread.thread, start_ns, end_ns});
  } else {
    forwards_.add({sequence, start_ns, thread.thread});
  }
}

void GpuTrace::link(bool backward, std::int64_t id, HostThread thread, std::int64_t at_ns) {
  if (!parts_.wanted(thread.process)) return;
  if (backward) {
    link_ends_.add({thread.thread, at_ns, id});
  } else {
    link_starts_.add({id, at_ns, thread.thread});
  }
}

void GpuTrace::unnumbered(HostThread thread, std::int64_t start_ns, std::int64_t end_ns) {
  if (!parts_.wanted(thread.process)) return;
  unnumbered_.add({thread.thread, start_ns, end_ns, TraceLayers::kNone});
}

void GpuTrace::refuse_nothing() const {
  if (!worked_) {
    throw Error("no kernel in it: only work of a GPU is imported; profile with CUDA activities");
  }
  if (!rules_.step_rule().empty() && !step_range_) {
    throw Error(fmt::format("--step-rule '{}': matches no annotation in it", rules_.step_rule()));
  }
  if (!layers_.empty() || !operators_.empty()) return;
  if (rules_.ruled()) {
    throw Error(fmt::format("--layer-rule '{}': matches no range in it", rules_.layer_rule()));
  }
  throw Error(
      "no range in it makes a layer; name operators or annotations with --layer-rule, for example "
      "--layer-rule '^aten::(linear|conv2d)$', or profile with record_function or with_modules");
}

/// Of operators with one name, by start: how many of the same minibatch were before each.
void GpuTrace::number_operators() {
  std::optional<TracedRange> last;
  auto all = operators_.read();
  while (const TracedOperator* each = all.next()) {
    TracedRange range = each->range;
    const bool same =
        last && last->name == range.name && steps_.of(last->start_ns) == steps_.of(range.start_ns);
    range.occurrence = same ? last->occurrence + 1 : 0;
    layers_.see(range);
    ranges_.add(range);
    last = range;
  }
}

/// An arrow's head lies at the start of the backward operator.
void GpuTrace::number_by_links() {
  if (!backwards_.empty() || link_ends_.empty()) return;
  RangeSweep<BackwardSpan> sweep(unnumbered_);
  auto ends = link_ends_.read();
  while (const NumberedPoint* end = ends.next()) {
    const auto holding = sweep.holding(end->thread, end->at_ns);
    if (holding.empty()) continue;
    const BackwardSpan& innermost = holding.back();
    backwards_.add({end->sequence, innermost.thread, innermost.start_ns, innermost.end_ns});
  }
  forwards_ = std::move(link_starts_);
}

SortedRecords<LaunchedWork> GpuTrace::launched(SortedRecords<PlacedWork>& lost) {
  SortedRecords<LaunchedWork> result = join_launches(
      works_, launches_, parts_, held_bytes_, [&](const PlacedWork& work) { lost.add(work); });
  works_ = SortedRecords<TracedWork>(held_bytes_);
  launches_ = SortedRecords<TracedLaunch>(held_bytes_);
  return result;
}

/// Where all work belongs, by device and time.
void GpuTrace::place_works(SortedRecords<LaunchedWork>& launched, SortedRecords<PlacedWork>& placed,
                           Imported& to) {
  TracePlacing placing(ranges_, names_, layers_, steps_, held_bytes_);
  SortedRecords<BackwardSpan> backwards = placing.layers_of(forwards_, backwards_);
  placing.find(launched, backwards, [&](const PlacedWork& work) { placed.add(work); });
  if (placing.passed_over() > 0) {
    to.unused.push_back({placing.passed_over(), "ranges", "they lie within thousands of others"});
  }
}

/// False where nothing but copies ran for it.
bool GpuTrace::add_layer(const PlaceSums& sums, std::uint32_t number, LayerCost& layer) const {
  bool any = false;
  for (const auto& [phase, field] : kPhaseFields) {
    if (const auto did = sums.recorded(number, phase)) layer.recorded[phase] = *did;
    const auto time = sums.measured(number, phase);
    if (!time) continue;
    know(layer, field, *time);
    any = true;
  }
  return any;
}

void GpuTrace::add_layers(const PlaceSums& sums, Imported& to) const {
  std::int64_t idle = 0;
  std::vector<std::string> stalls;
  DeviceWork rest = sums.recorded(TraceLayers::kNone, Phase::kForward).value_or(DeviceWork{});
  for (std::uint32_t l = 0; l < layers_.names().size(); ++l) {
    LayerCost layer = blank_layer(layers_.names()[l]);
    if (!add_layer(sums, l, layer)) {
      ++idle;
      for (const auto& [phase, did] : layer.recorded) {
        for (const auto& [of, totals] : did.copies) add(rest.copies, of, totals);
      }
      continue;
    }
    for (const auto& [phase, field] : kPhaseFields) {
      std::string stall = stall_text(layer, field, of(layer.alone, phase));
      if (!layer.missing.has(field) && !stall.empty()) stalls.push_back(std::move(stall));
    }
    for (const auto& [phase, did] : layer.recorded) {
      rest.minibatches = std::max(rest.minibatches, did.minibatches);
    }
    to.model.layers.push_back(std::move(layer));
  }
  to.model.unattributed = std::move(rest);
  to.model.whole_step = sums.recorded(TraceLayers::kNone, Phase::kStep);
  note_stalls(stalls, to);
  if (idle > 0) {
    to.unused.push_back({idle, "layers", "nothing ran on the device for them"});
  }
  if (to.model.layers.empty()) {
    std::string text = "nothing that ran on the device was launched in a range of a layer";
    for (const auto& [count, what, why] : to.unused) {
      text += fmt::format("; could not use {} {}: {}", count, what, why);
    }
    throw Error(text);
  }
}

void GpuTrace::finish(const std::map<std::int64_t, std::string>& devices, Imported& to) {
  parts_.refuse_what_is_not_there();
  refuse_nothing();
  SortedRecords<PlacedWork> placed(held_bytes_);
  SortedRecords<LaunchedWork> works = launched(placed);
  parts_.refuse_several_processes();
  parts_.refuse_several_gpus();
  to.device = parts_.device_name(devices);
  number_by_links();
  steps_.finish();
  number_operators();
  layers_.finish(names_.all());
  place_works(works, placed, to);
  const PlaceSums sums = add_up(placed, held_bytes_, to);
  add_layers(sums, to);
  to.whole_step = sums.measured(TraceLayers::kNone, Phase::kStep);
  to.device_time = sums.device_time();
  to.notes.push_back(steps_.method());
  set_optimizer(optimizers_, options_, to);
  copies_.finish(to);
  to.model.imported_precision = precisions_.found();
  if (!precisions_.note().empty()) to.notes.push_back(precisions_.note());
  if (others_ > 0) {
    to.unused.push_back({others_, "kernels and copies on the device", "of other processes"});
  }
  if (steps_.left_out() > 0) {
    to.unused.push_back({steps_.left_out(), "minibatches",
                         fmt::format("more than {} are not held", TraceSteps::kMost)});
  }
}

}  // namespace shardlab
