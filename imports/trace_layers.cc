#include "imports/trace_layers.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {

void TraceSteps::range(std::int64_t start_ns, std::int64_t end_ns) {
  if (spans_.size() < kMost) {
    spans_.emplace_back(start_ns, end_ns);
  } else {
    ++left_out_;
  }
}

void TraceSteps::optimizer_end(std::int64_t at_ns) {
  if (!spans_.empty()) return;
  if (optimizer_ends_.size() < kMost) {
    optimizer_ends_.push_back(at_ns);
  } else {
    ++left_out_;
  }
}

void TraceSteps::finish() {
  std::ranges::sort(spans_);
  if (!spans_.empty()) {
    method_ = fmt::format("{} minibatches by their ranges", spans_.size());
    return;
  }
  std::ranges::sort(optimizer_ends_);
  std::int64_t begin = std::numeric_limits<std::int64_t>::min();
  for (const std::int64_t end : optimizer_ends_) {
    spans_.emplace_back(begin, end);
    begin = end + 1;
  }
  spans_.emplace_back(begin, std::numeric_limits<std::int64_t>::max());
  method_ = optimizer_ends_.empty() ? "no minibatches are marked: all is taken as one"
                                    : fmt::format("minibatches by the ends of {} optimizer ranges",
                                                  optimizer_ends_.size());
}

std::uint32_t TraceSteps::of(std::int64_t at_ns) const {
  const auto after =
      std::ranges::upper_bound(spans_, at_ns, {}, &std::pair<std::int64_t, std::int64_t>::first);
  if (after == spans_.begin() || std::prev(after)->second < at_ns) return kNone;
  return static_cast<std::uint32_t>(std::prev(after) - spans_.begin());
}

void TraceLayers::see(const TracedRange& range) {
  if (range.name >= seen_.size()) seen_.resize(range.name + 1);
  auto& of_name = seen_[range.name];
  const First here{range.start_ns, -range.end_ns, count_};
  if (range.occurrence < of_name.size()) {
    of_name[range.occurrence].first = std::min(of_name[range.occurrence].first, here);
    return;
  }
  if (count_ == kMost) {
    throw Error(
        fmt::format("more than {} layers: mark minibatches (ProfilerStep#, --step-rule), or name "
                    "fewer operators "
                    "with --layer-rule",
                    kMost));
  }
  ++count_;
  of_name.push_back({here, kNone});
}

void TraceLayers::finish(const std::vector<RangeNames::Name>& names) {
  const bool modules =
      std::ranges::any_of(names, [](const auto& name) { return name.role == RangeRole::kModule; });
  /// A name and, of operators, which of its minibatch it is.
  using Key = std::pair<std::string, std::uint32_t>;
  std::map<Key, First> firsts;
  std::set<std::string> repeated;  // Within a minibatch.
  const auto each = [&](const auto& visit) {
    for (std::uint32_t n = 0; n < seen_.size(); ++n) {
      if (modules && names[n].role == RangeRole::kLayer) continue;
      for (std::uint32_t o = 0; o < seen_[n].size(); ++o)
        visit(Key{names[n].layer, o}, seen_[n][o]);
    }
  };
  each([&](const Key& key, const Seen& seen) {
    const auto [found, fresh] = firsts.emplace(key, seen.first);
    if (!fresh) found->second = std::min(found->second, seen.first);
    if (key.second > 0) repeated.insert(key.first);
  });
  std::vector<std::pair<First, Key>> order;
  for (const auto& [key, first] : firsts) order.emplace_back(first, key);
  std::ranges::sort(order);
  std::map<Key, std::uint32_t> layers;
  for (const auto& [first, key] : order) {
    const auto& [name, occurrence] = key;
    layers.emplace(key, static_cast<std::uint32_t>(names_.size()));
    names_.push_back(repeated.contains(name) ? fmt::format("{} #{}", name, occurrence) : name);
  }
  each([&](const Key& key, Seen& seen) { seen.layer = layers.at(key); });
}

}  // namespace shardlab
