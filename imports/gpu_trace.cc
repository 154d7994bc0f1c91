#include "imports/gpu_trace.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "imports/range_sweep.h"
#include "imports/trace_layers.h"
#include "imports/trace_places.h"

namespace shardlab {
namespace {

using Why = FoundPlace::Why;

struct Lost {
  std::int64_t count = 0;
  Duration time{};
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
         fmt::format("{}; they took {:.3f} ms", kReasons.at(why), seconds(what.time) * 1e3)});
  }
}

/// Adds up what was found, and counts the rest.
PlaceSums add_up(const std::vector<TracedWork>& works, const std::vector<FoundPlace>& found,
                 Imported& to) {
  std::vector<std::size_t> order(works.size());
  for (std::size_t w = 0; w < order.size(); ++w) order[w] = w;
  std::ranges::sort(order, {}, [&](std::size_t w) {
    return std::tuple(works[w].device, works[w].start_ns, works[w].end_ns, works[w].correlation);
  });
  PlaceSums sums;
  std::map<Why, Lost> lost;
  for (const std::size_t w : order) {
    TracePlace place = found[w].place;
    if (found[w].why != Why::kPlaced) {
      Lost& here = lost[found[w].why];
      ++here.count;
      here.time += Duration{works[w].end_ns - works[w].start_ns};
      place = {};  // It still comes between others.
    }
    sums.add(works[w], place);
  }
  report_lost(lost, to);
  return sums;
}

constexpr std::pair<Phase, CostField> kPhaseFields[] = {{Phase::kForward, CostField::kForward},
                                                        {Phase::kRecompute, CostField::kRecompute},
                                                        {Phase::kBackward, CostField::kBackward}};

void add_layers(const TraceLayers& layers, const PlaceSums& sums, Imported& to) {
  std::int64_t idle = 0;
  for (std::uint32_t l = 0; l < layers.names().size(); ++l) {
    LayerCost layer = blank_layer(layers.names()[l]);
    bool any = false;
    for (const auto& [phase, field] : kPhaseFields) {
      const auto time = sums.measured(l, phase);
      if (!time) continue;
      know(layer, field, *time);
      any = true;
    }
    if (any) {
      to.model.layers.push_back(std::move(layer));
    } else {
      ++idle;
    }
  }
  if (idle > 0) {
    to.unused.push_back({idle, "layers", "nothing ran on the device for them"});
  }
  if (to.model.layers.empty()) {
    throw Error("nothing that ran on the device was launched in a range of a layer");
  }
}

}  // namespace

template <typename Record>
void GpuTrace::keep(std::vector<Record>& all, const Record& one) {
  if (all.size() < kMost) {
    all.push_back(one);
  } else {
    ++too_many_;
  }
}

void GpuTrace::launch(std::int64_t correlation, std::uint64_t thread, std::int64_t at_ns) {
  keep(launches_, {correlation, at_ns, thread_index(thread)});
}

void GpuTrace::work(const TracedWork& work) { keep(works_, work); }

void GpuTrace::copy(CopyClass of, Bytes bytes, Duration time) {
  if (bytes <= 0 || time <= Duration{}) {
    ++empty_copies_;
  } else {
    keep(copies_[of], {bytes, time});
  }
}

void GpuTrace::range(std::string_view name, RangeSource source, std::uint64_t thread,
                     std::int64_t start_ns, std::int64_t end_ns) {
  const Known what = known(name, source);
  if (what.role == RangeRole::kNone) return;
  keep(ranges_, {start_ns, end_ns, thread_index(thread), what.index, what.role});
}

void GpuTrace::numbered(bool backward, std::int64_t sequence, std::uint64_t thread,
                        std::int64_t start_ns, std::int64_t end_ns) {
  keep(backward ? backwards_ : forwards_, {sequence, start_ns, end_ns, thread_index(thread)});
}

void GpuTrace::link(bool backward, std::int64_t id, std::uint64_t thread, std::int64_t at_ns) {
  keep(backward ? link_ends_ : link_starts_, {id, at_ns, at_ns, thread_index(thread)});
}

void GpuTrace::unnumbered(std::uint64_t thread, std::int64_t start_ns, std::int64_t end_ns) {
  keep(unnumbered_, {0, start_ns, end_ns, thread_index(thread)});
}

/// An arrow's head lies at the start of the backward operator.
void GpuTrace::number_by_links() {
  if (!backwards_.empty() || link_ends_.empty()) return;
  std::vector<SweepPoint> points;
  for (std::size_t i = 0; i < link_ends_.size(); ++i) {
    points.push_back({link_ends_[i].thread, link_ends_[i].start_ns, i});
  }
  sort_for_sweep(unnumbered_);
  sweep(unnumbered_, points, [&](std::size_t i, std::span<const std::size_t> holding) {
    if (holding.empty()) return;
    backwards_.push_back(unnumbered_[holding.back()]);
    backwards_.back().sequence = link_ends_[i].sequence;
  });
  forwards_ = std::move(link_starts_);
}

std::uint32_t GpuTrace::thread_index(std::uint64_t thread) {
  return threads_.emplace(thread, static_cast<std::uint32_t>(threads_.size())).first->second;
}

GpuTrace::Known GpuTrace::known(std::string_view name, RangeSource source) {
  auto& names = known_[static_cast<std::size_t>(source)];
  const auto found = names.find(name);
  if (found != names.end()) return found->second;
  const Known fresh{static_cast<std::uint32_t>(names_.size()), rules_.role(name, source)};
  if (fresh.role != RangeRole::kNone) names_.emplace_back(name);
  // Names that are each there once, as of minibatches, are too many to remember.
  if (names.size() < kMost / 256) names.emplace(name, fresh);
  return fresh;
}

void GpuTrace::refuse_nothing() const {
  if (works_.empty()) {
    throw Error("no kernel in it: only work of a GPU is imported; profile with CUDA activities");
  }
  const auto makes_layers = [](const TracedRange& range) {
    return range.role == RangeRole::kLayer || range.role == RangeRole::kModule ||
           range.role == RangeRole::kOperator;
  };
  if (std::ranges::any_of(ranges_, makes_layers)) return;
  throw Error(
      "no range in it makes a layer; name operators or annotations with --layer-rule, for example "
      "--layer-rule '^aten::(linear|conv2d)$', or profile with record_function or with_modules");
}

void GpuTrace::take_copies(Imported& to) const {
  for (const auto& [direction, field, cost] :
       {std::tuple(CopyDirection::kHostToDevice, CostField::kCopy, &HostCosts::copy),
        std::tuple(CopyDirection::kDeviceToHost, CostField::kCopyBack, &HostCosts::copy_back)}) {
    for (const bool pinned : {true, false}) {
      const auto found = copies_.find({direction, pinned});
      if (found == copies_.end()) continue;
      const auto count = static_cast<std::int64_t>(found->second.size());
      const char* const memory = pinned ? "page-locked" : "pageable";
      if (!to.host.missing.has(field)) {
        to.unused.push_back({count, "copies of pageable memory", "there are page-locked ones"});
      } else if (medians(found->second).size() < 2) {
        to.unused.push_back({count, fmt::format("copies of {} memory", memory),
                             "a latency and a rate take copies of two sizes"});
      } else {
        to.host.*cost = fit_copy_cost(found->second);
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
  sort_for_sweep(ranges_);
  const TraceSteps steps(ranges_);
  const TraceLayers layers(ranges_, *this, rules_, steps);
  std::vector<SweepPoint> points = launch_points(works_, launches_);
  launches_ = {};
  TracePlacing placing(ranges_, layers, steps);
  placing.learn(forwards_);
  const std::vector<FoundPlace> found = placing.find(works_.size(), points, backwards_);
  const PlaceSums sums = add_up(works_, found, to);
  add_layers(layers, sums, to);
  to.whole_step = sums.measured(TracePlace::kNoLayer, Phase::kStep);
  to.notes.push_back(steps.method());
  take_copies(to);
  if (too_many_ > 0) {
    to.unused.push_back({too_many_, "events",
                         fmt::format("more than {} of a kind are not held; "
                                     "profile fewer minibatches",
                                     kMost)});
  }
}

}  // namespace shardlab
