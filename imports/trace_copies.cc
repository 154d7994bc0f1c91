#include "imports/trace_copies.h"

#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "profiler/copy_cost.h"

namespace shardlab {
namespace {

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

void TraceCopies::add(CopyClass of, Bytes bytes, Duration time) {
  if (bytes <= 0 || time <= Duration{}) {
    ++empty_copies_;
  } else {
    copies_.add({of, bytes, time.count()});
  }
}

void TraceCopies::finish(Imported& to) {
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

}  // namespace shardlab
