#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/device_work.h"
#include "core/phase.h"
#include "imports/range_rules.h"
#include "imports/trace_records.h"

namespace shardlab {

/// A trace as lists, and what docs/formats.md says of it, found by looking at everything for
/// everything: for small traces in tests.
struct ReferenceTrace {
  struct Range {
    std::string name;
    RangeRole role = RangeRole::kNone;
    std::uint64_t thread = 0;
    std::int64_t start = 0, end = 0;
  };
  struct Operator {
    bool backward = false;
    std::int64_t sequence = 0;
    std::uint64_t thread = 0;
    std::int64_t start = 0, end = 0;
  };
  std::vector<TracedLaunch> launches;
  std::vector<TracedWork> works;
  std::vector<Range> ranges;
  std::vector<Operator> operators;

  using Key = std::pair<std::string, Phase>;
  /// By layer ("": of the model) and phase, by minibatch: time, busy.
  using Sums = std::map<Key, std::map<std::int64_t, std::pair<std::int64_t, std::int64_t>>>;
  /// By layer ("": of the model) and phase; {"", kForward}: what belongs to nobody.
  using Recorded = std::map<Key, DeviceWork>;
  struct Found {
    Sums sums;
    Recorded recorded;
    std::map<std::string, std::int64_t> lost;  ///< Works, by reason.
  };

  [[nodiscard]] Found find() const {
    Found found;
    std::vector<Placed> all;
    for (const TracedWork& work : works) {
      std::string why;
      const auto place = place_of(work, why);
      if (!place && work.worked) ++found.lost[why];
      all.push_back({work, place});
    }
    record(all, found.recorded);
    std::erase_if(all, [](const Placed& each) { return !each.work.worked; });
    std::ranges::sort(all, {}, [](const Placed& each) {
      return std::tuple(each.work.device, each.work.start_ns);
    });
    std::map<std::tuple<Key, std::int64_t, std::int64_t>, std::set<std::int64_t>> busy;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto& [work, place] = all[i];
      if (!place) continue;
      auto& [time, in_use] = found.sums[place->first][place->second];
      // Every nanosecond once.
      auto& instants = busy[{place->first, place->second, work.device}];
      for (std::int64_t t = work.start_ns; t < work.end_ns; ++t) {
        if (instants.insert(t).second) ++in_use, ++time;
      }
      std::int64_t before = std::numeric_limits<std::int64_t>::min();
      for (std::size_t k = 0; k < i; ++k) {
        if (all[k].work.device == work.device) before = std::max(before, all[k].work.end_ns);
      }
      const bool follows = i > 0 && all[i - 1].work.device == work.device &&
                           all[i - 1].place == place && before < work.start_ns;
      if (follows) time += work.start_ns - before;
    }
    return found;
  }

 private:
  struct Placed {
    TracedWork work;
    std::optional<std::pair<Key, std::int64_t>> place;
  };

  /// Nanosecond by nanosecond, and without minibatches.
  static void record(const std::vector<Placed>& all, Recorded& to) {
    const Key nobody{"", Phase::kForward};
    const auto key = [&](const Placed& each) { return each.place ? each.place->first : nobody; };
    std::map<std::tuple<Key, std::int64_t, std::int64_t, int>, std::set<std::int64_t>> seen;
    std::map<std::int64_t, std::set<std::int64_t>> any;  // By device.
    for (const Placed& each : all) {
      DeviceWork& did = to[key(each)];
      const std::int64_t step = each.place ? each.place->second : -1;
      const CopyClass& of = each.work.copied;
      const int as_copy = 1 + 2 * static_cast<int>(of.direction) + (of.pinned ? 1 : 0);
      if (each.work.worked) ++did.launches;
      if (each.work.a_copy) {
        ++did.copies[of].count;
        did.copies[of].bytes += each.work.bytes;
      }
      for (std::int64_t t = each.work.start_ns; t < each.work.end_ns; ++t) {
        any[each.work.device].insert(t);
        auto& work = seen[{key(each), step, each.work.device, 0}];
        if (each.work.worked && work.insert(t).second) did.busy += Duration{1};
        auto& copied = seen[{key(each), step, each.work.device, as_copy}];
        if (each.work.a_copy && copied.insert(t).second) did.copies[of].busy += Duration{1};
      }
    }
    std::vector<Placed> works = all;
    std::erase_if(works, [](const Placed& each) { return !each.work.worked; });
    std::ranges::sort(works, {}, [](const Placed& each) {
      return std::tuple(each.work.device, each.work.start_ns);
    });
    std::int64_t end = 0;
    for (std::size_t i = 0; i < works.size(); ++i) {
      const TracedWork& work = works[i].work;
      const bool same = i > 0 && works[i - 1].work.device == work.device;
      for (auto t = end; same && works[i - 1].place == works[i].place && t < work.start_ns; ++t) {
        if (!any[work.device].contains(t)) to[key(works[i])].gaps += Duration{1};
      }
      end = std::max(same ? end : work.end_ns, work.end_ns);
    }
  }

  [[nodiscard]] std::int64_t step_of(std::int64_t at) const {
    std::vector<std::pair<std::int64_t, std::int64_t>> spans;
    for (const Range& range : ranges) {
      if (range.role == RangeRole::kStep) spans.emplace_back(range.start, range.end);
    }
    std::ranges::sort(spans);
    for (std::size_t s = spans.size(); s-- > 0;) {
      if (spans[s].first <= at) return spans[s].second >= at ? static_cast<std::int64_t>(s) : -1;
    }
    return -1;
  }

  /// Outermost first.
  template <typename Span, typename Wanted>
  static std::vector<Span> holding(const std::vector<Span>& all, std::uint64_t thread,
                                   std::int64_t at, const Wanted& wanted) {
    std::vector<Span> result;
    for (const Span& each : all) {
      if (each.thread == thread && each.start <= at && at <= each.end && wanted(each)) {
        result.push_back(each);
      }
    }
    std::ranges::stable_sort(result, {}, [](const Span& s) { return std::pair(s.start, -s.end); });
    return result;
  }

  [[nodiscard]] std::string layer_name(const Range& range) const {
    if (range.role != RangeRole::kOperator) return range.name;
    std::int64_t before = 0;
    bool repeated = false;
    for (const Range& other : ranges) {
      if (other.role != RangeRole::kOperator || other.name != range.name) continue;
      for (const Range& third : ranges) {
        repeated |= third.name == other.name && third.start != other.start &&
                    step_of(third.start) == step_of(other.start);
      }
      if (other.start < range.start && step_of(other.start) == step_of(range.start)) ++before;
    }
    return repeated ? range.name + " #" + std::to_string(before) : range.name;
  }

  [[nodiscard]] std::optional<Range> layer_at(std::uint64_t thread, std::int64_t at) const {
    const auto layers =
        holding(ranges, thread, at, [](const Range& r) { return makes_layers(r.role); });
    if (layers.empty()) return {};
    return layers.back();
  }

  [[nodiscard]] std::optional<std::pair<Key, std::int64_t>> place_of(const TracedWork& work,
                                                                     std::string& why) const {
    const TracedLaunch* launch = nullptr;
    for (const TracedLaunch& each : launches) {
      if (each.correlation != work.correlation) continue;
      if (launch == nullptr || each.at_ns < launch->at_ns) launch = &each;
    }
    why = "their launch is not in the trace";
    if (launch == nullptr) return {};
    const std::uint64_t thread = launch->thread;
    const std::int64_t at = launch->at_ns, step = step_of(at);
    const auto within = [&](RangeRole role) {
      return !holding(ranges, thread, at, [&](const Range& r) { return r.role == role; }).empty();
    };
    const auto layer = layer_at(thread, at);
    const auto backwards =
        holding(operators, thread, at, [](const Operator& each) { return each.backward; });
    Key key;
    if (within(RangeRole::kOptimizer) || within(RangeRole::kZeroing)) {
      key = {"", Phase::kStep};
    } else if (layer && (backwards.empty() || layer->start > backwards.back().start)) {
      const Phase alone = within(RangeRole::kBackward) ? Phase::kBackward : Phase::kForward;
      key = {layer_name(*layer), backwards.empty() ? alone : Phase::kRecompute};
    } else if (!backwards.empty()) {
      const Operator* forward = nullptr;
      for (const Operator& each : operators) {
        if (each.backward || each.sequence != backwards.back().sequence) continue;
        if (forward == nullptr || each.start > forward->start) forward = &each;
      }
      why = "their forward was in no range of a layer";
      if (forward == nullptr) return {};
      const auto of = layer_at(forward->thread, forward->start);
      if (!of) return {};
      key = {layer_name(*of), Phase::kBackward};
    } else {
      why = "they were launched in no range of a layer";
      return {};
    }
    why = "they were launched outside every minibatch";
    if (step < 0) return {};
    return std::pair(key, step);
  }
};

}  // namespace shardlab
