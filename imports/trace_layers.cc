#include "imports/trace_layers.h"

#include <algorithm>
#include <limits>
#include <set>
#include <tuple>

#include <fmt/format.h>

namespace shardlab {
namespace {

bool makes_layers(RangeRole role, bool modules) {
  return role == RangeRole::kOperator || role == (modules ? RangeRole::kModule : RangeRole::kLayer);
}

/// One layer: its name and, of operators, which of its minibatch it is.
using LayerKey = std::pair<std::string, std::uint32_t>;

/// Of operators with one name, by start: how many of the same minibatch were before each.
std::vector<std::uint32_t> occurrences(const std::vector<TracedRange>& ranges,
                                       const TraceSteps& steps) {
  std::vector<std::size_t> order;
  for (std::size_t r = 0; r < ranges.size(); ++r) {
    if (ranges[r].role == RangeRole::kOperator) order.push_back(r);
  }
  std::ranges::sort(order, {}, [&](std::size_t r) {
    return std::tuple(ranges[r].name, ranges[r].start_ns, ranges[r].thread);
  });
  std::vector<std::uint32_t> result(ranges.size());
  for (std::size_t i = 1; i < order.size(); ++i) {
    const TracedRange& before = ranges[order[i - 1]];
    const TracedRange& here = ranges[order[i]];
    const bool same =
        before.name == here.name && steps.of(before.start_ns) == steps.of(here.start_ns);
    result[order[i]] = same ? result[order[i - 1]] + 1 : 0;
  }
  return result;
}

Duration median(std::vector<Duration> times) { return summarize(std::move(times)).median; }

}  // namespace

TraceSteps::TraceSteps(const std::vector<TracedRange>& ranges) {
  std::vector<std::int64_t> ends;
  for (const TracedRange& range : ranges) {
    if (range.role == RangeRole::kStep) spans_.emplace_back(range.start_ns, range.end_ns);
    if (range.role == RangeRole::kOptimizer) ends.push_back(range.end_ns);
  }
  std::ranges::sort(spans_);
  if (!spans_.empty()) {
    method_ = fmt::format("{} minibatches by their ranges", spans_.size());
    return;
  }
  std::ranges::sort(ends);
  std::int64_t begin = std::numeric_limits<std::int64_t>::min();
  for (const std::int64_t end : ends) {
    spans_.emplace_back(begin, end);
    begin = end + 1;
  }
  spans_.emplace_back(begin, std::numeric_limits<std::int64_t>::max());
  method_ = ends.empty()
                ? "no minibatches are marked: all is taken as one"
                : fmt::format("minibatches by the ends of {} optimizer ranges", ends.size());
}

std::uint32_t TraceSteps::of(std::int64_t at_ns) const {
  const auto after =
      std::ranges::upper_bound(spans_, at_ns, {}, &std::pair<std::int64_t, std::int64_t>::first);
  if (after == spans_.begin() || std::prev(after)->second < at_ns) return kNone;
  return static_cast<std::uint32_t>(std::prev(after) - spans_.begin());
}

TraceLayers::TraceLayers(const std::vector<TracedRange>& ranges, const GpuTrace& trace,
                         const RangeRules& rules, const TraceSteps& steps)
    : layer_of_(ranges.size(), TracePlace::kNoLayer) {
  const bool modules = std::ranges::any_of(
      ranges, [](const TracedRange& range) { return range.role == RangeRole::kModule; });
  const std::vector<std::uint32_t> occurrence = occurrences(ranges, steps);
  std::vector<std::size_t> order;
  for (std::size_t r = 0; r < ranges.size(); ++r) {
    if (makes_layers(ranges[r].role, modules)) order.push_back(r);
  }
  std::ranges::sort(order, {}, [&](std::size_t r) {
    return std::tuple(ranges[r].start_ns, -ranges[r].end_ns, r);
  });
  std::vector<std::string> label(trace.names().size());
  std::set<std::string> repeated;  // Within a minibatch.
  for (const std::size_t r : order) {
    if (occurrence[r] > 0) repeated.insert(rules.layer_name(trace.names()[ranges[r].name]));
  }
  std::map<LayerKey, std::uint32_t> known;
  for (const std::size_t r : order) {
    std::string& name = label[ranges[r].name];
    if (name.empty()) name = rules.layer_name(trace.names()[ranges[r].name]);
    const auto [found, fresh] = known.emplace(LayerKey{name, occurrence[r]}, names_.size());
    layer_of_[r] = found->second;
    if (!fresh) continue;
    names_.push_back(repeated.contains(name) ? fmt::format("{} #{}", name, occurrence[r]) : name);
  }
}

std::uint64_t PlaceSums::key(std::uint32_t layer, Phase phase) {
  return std::uint64_t{layer} * kPhases.size() + static_cast<std::uint64_t>(phase);
}

void PlaceSums::add(const TracedWork& work, const TracePlace& place) {
  const bool other_device = first_ || work.device != device_;
  if (other_device) device_end_ns_ = work.start_ns;
  Sum& sum = sums_[key(place.layer, place.phase)][place.step];
  if (other_device) sum.last_end_ns = INT64_MIN;
  if (!other_device && place == last_ && work.start_ns > device_end_ns_) {
    sum.times.gaps += Duration{work.start_ns - device_end_ns_};
  }
  const std::int64_t fresh = std::max(work.start_ns, sum.last_end_ns);
  sum.times.busy += Duration{std::max<std::int64_t>(work.end_ns - fresh, 0)};
  sum.last_end_ns = std::max(sum.last_end_ns, work.end_ns);
  device_end_ns_ = std::max(device_end_ns_, work.end_ns);
  device_ = work.device;
  last_ = place;
  first_ = false;
}

std::optional<Measured> PlaceSums::measured(std::uint32_t layer, Phase phase) const {
  const auto found = sums_.find(key(layer, phase));
  if (found == sums_.end()) return {};
  Samples times, busy;
  for (const auto& [step, sum] : found->second) {
    times.push_back(sum.times.busy + sum.times.gaps);
    busy.push_back(sum.times.busy);
  }
  Measured result = summarize(std::move(times));
  result.busy = median(std::move(busy));
  return result;
}

}  // namespace shardlab
