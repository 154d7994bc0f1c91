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
#include "profiler/copy_cost.h"

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
      {Why::kNoStep, "they were launched outside every minibatch"},
      {Why::kNoLayer, "they were launched in no range of a layer"},
      {Why::kBackwardOfNoLayer, "their forward was in no range of a layer"}};
  for (const auto& [why, what] : lost) {
    to.unused.push_back(
        {what.count, "kernels and copies on the device",
         fmt::format("{}; they took {:.3f} ms", kReasons.at(why), what.seconds * 1e3)});
  }
}

/// Adds up what was found, and counts the rest.
PlaceSums add_up(SortedRecords<PlacedWork>& works, std::size_t held_bytes, Imported& to) {
  PlaceSums sums(held_bytes);
  std::map<Why, Lost> lost;
  auto all = works.read();
  while (const PlacedWork* placed = all.next()) {
    TracePlace place = placed->place;
    if (placed->why != Why::kPlaced) {
      Lost& here = lost[placed->why];
      ++here.count;
      here.seconds += seconds(Duration{placed->work.end_ns - placed->work.start_ns});
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

constexpr std::pair<Phase, CostField> kPhaseFields[] = {{Phase::kForward, CostField::kForward},
                                                        {Phase::kRecompute, CostField::kRecompute},
                                                        {Phase::kBackward, CostField::kBackward}};

/// Copies of one class.
struct CopyMedians {
  std::int64_t count = 0;
  std::vector<CopySample> sizes;  ///< The median time of each.
};

/// As quantile() of all times of a size, without holding them.
std::map<CopyClass, CopyMedians> medians_of(SortedRecords<TracedCopy>& copies) {
  std::map<std::pair<CopyClass, Bytes>, std::int64_t> counts;
  auto all = copies.read();
  while (const TracedCopy* copy = all.next()) ++counts[{copy->of, copy->bytes}];
  std::map<CopyClass, CopyMedians> result;
  auto again = copies.read();
  for (const auto& [key, count] : counts) {
    CopyMedians& here = result[key.first];
    here.count += count;
    for (std::int64_t i = 0; i < count; ++i) {
      const TracedCopy* const copy = again.next();
      if (i == count / 2) here.sizes.push_back({copy->bytes, Duration{copy->time_ns}});
    }
  }
  return result;
}

}  // namespace

GpuTrace::GpuTrace(const RangeRules& rules, std::size_t held_bytes)
    : rules_(rules),
      held_bytes_(held_bytes),
      names_(rules),
      launches_(held_bytes),
      works_(held_bytes),
      ranges_(held_bytes),
      operators_(held_bytes),
      forwards_(held_bytes),
      link_starts_(held_bytes),
      backwards_(held_bytes),
      link_ends_(held_bytes),
      unnumbered_(held_bytes),
      copies_(held_bytes) {}

void GpuTrace::launch(std::int64_t correlation, std::uint64_t thread, std::int64_t at_ns) {
  launches_.add({correlation, at_ns, thread});
}

void GpuTrace::work(const TracedWork& work) { works_.add(work); }

void GpuTrace::copy(CopyClass of, Bytes bytes, Duration time) {
  if (bytes <= 0 || time <= Duration{}) {
    ++empty_copies_;
  } else {
    copies_.add({of, bytes, time.count()});
  }
}

void GpuTrace::range(std::string_view name, RangeSource source, std::uint64_t thread,
                     std::int64_t start_ns, std::int64_t end_ns) {
  const auto [index, role] = names_.look_up(name, source);
  if (role == RangeRole::kNone) return;
  if (role == RangeRole::kStep) {
    step_range_ = true;
    return steps_.range(start_ns, end_ns);
  }
  if (role == RangeRole::kOptimizer) steps_.optimizer_end(end_ns);
  const TracedRange range{thread, start_ns, end_ns, index, 0};
  if (role == RangeRole::kOperator) return operators_.add({range});
  if (makes_layers(role)) layers_.see(range);
  ranges_.add(range);
}

void GpuTrace::numbered(bool backward, std::int64_t sequence, std::uint64_t thread,
                        std::int64_t start_ns, std::int64_t end_ns) {
  if (backward) {
    backwards_.add({sequence, thread, start_ns, end_ns});
  } else {
    forwards_.add({sequence, start_ns, thread});
  }
}

void GpuTrace::link(bool backward, std::int64_t id, std::uint64_t thread, std::int64_t at_ns) {
  if (backward) {
    link_ends_.add({thread, at_ns, id});
  } else {
    link_starts_.add({id, at_ns, thread});
  }
}

void GpuTrace::unnumbered(std::uint64_t thread, std::int64_t start_ns, std::int64_t end_ns) {
  unnumbered_.add({thread, start_ns, end_ns, TraceLayers::kNone});
}

void GpuTrace::refuse_nothing() const {
  if (works_.empty()) {
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

/// Where all work belongs, by device and time.
SortedRecords<PlacedWork> GpuTrace::place_works(Imported& to) {
  SortedRecords<PlacedWork> placed(held_bytes_);
  SortedRecords<LaunchedWork> launched =
      join_launches(works_, launches_, held_bytes_, [&](const TracedWork& work) {
        placed.add({work, {}, Why::kNoLaunch});
      });
  works_ = SortedRecords<TracedWork>(held_bytes_);
  launches_ = SortedRecords<TracedLaunch>(held_bytes_);
  TracePlacing placing(ranges_, names_, layers_, steps_, held_bytes_);
  SortedRecords<BackwardSpan> backwards = placing.layers_of(forwards_, backwards_);
  placing.find(launched, backwards, [&](const PlacedWork& work) { placed.add(work); });
  if (placing.passed_over() > 0) {
    to.unused.push_back({placing.passed_over(), "ranges", "they lie within thousands of others"});
  }
  return placed;
}

void GpuTrace::add_layers(const PlaceSums& sums, Imported& to) const {
  std::int64_t idle = 0;
  std::vector<std::string> stalls;
  for (std::uint32_t l = 0; l < layers_.names().size(); ++l) {
    LayerCost layer = blank_layer(layers_.names()[l]);
    bool any = false;
    for (const auto& [phase, field] : kPhaseFields) {
      const auto time = sums.measured(l, phase);
      if (!time) continue;
      know(layer, field, *time);
      std::string stall = stall_text(layer, field, *time);
      if (!stall.empty()) stalls.push_back(std::move(stall));
      any = true;
    }
    if (any) {
      to.model.layers.push_back(std::move(layer));
    } else {
      ++idle;
    }
  }
  note_stalls(stalls, to);
  if (idle > 0) {
    to.unused.push_back({idle, "layers", "nothing ran on the device for them"});
  }
  if (to.model.layers.empty()) {
    throw Error("nothing that ran on the device was launched in a range of a layer");
  }
}

void GpuTrace::take_copies(Imported& to) {
  const std::map<CopyClass, CopyMedians> copies = medians_of(copies_);
  for (const auto& [direction, field, cost] :
       {std::tuple(CopyDirection::kHostToDevice, CostField::kCopy, &HostCosts::copy),
        std::tuple(CopyDirection::kDeviceToHost, CostField::kCopyBack, &HostCosts::copy_back)}) {
    for (const bool pinned : {true, false}) {
      const auto found = copies.find({direction, pinned});
      if (found == copies.end()) continue;
      const auto& [count, sizes] = found->second;
      const char* const memory = pinned ? "page-locked" : "pageable";
      if (!to.host.missing.has(field)) {
        to.unused.push_back({count, "copies of pageable memory", "there are page-locked ones"});
      } else if (sizes.size() < 2) {
        to.unused.push_back({count, fmt::format("copies of {} memory", memory),
                             "a latency and a rate take copies of two sizes"});
      } else {
        to.host.*cost = fit_copy_cost(sizes);
        to.host.missing.set(field, false);
        to.notes.push_back(
            fmt::format("{}: line through {} copies of {} memory", name(field), count, memory));
      }
    }
  }
  if (empty_copies_ > 0) {
    to.unused.push_back({empty_copies_, "copies", "they say no bytes or took no time"});
  }
}

void GpuTrace::finish(Imported& to) {
  refuse_nothing();
  number_by_links();
  steps_.finish();
  number_operators();
  layers_.finish(names_.all());
  SortedRecords<PlacedWork> placed = place_works(to);
  const PlaceSums sums = add_up(placed, held_bytes_, to);
  add_layers(sums, to);
  to.whole_step = sums.measured(TraceLayers::kNone, Phase::kStep);
  to.notes.push_back(steps_.method());
  take_copies(to);
  if (steps_.left_out() > 0) {
    to.unused.push_back({steps_.left_out(), "minibatches",
                         fmt::format("more than {} are not held", TraceSteps::kMost)});
  }
}

}  // namespace shardlab
