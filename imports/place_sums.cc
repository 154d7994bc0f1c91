#include "imports/place_sums.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "profiler/samples.h"

namespace shardlab {

std::size_t PlaceSums::Hash::operator()(const TracePlace& place) const {
  const std::uint64_t key = (std::uint64_t{place.layer} << 32 | place.step) * kPhases.size() +
                            static_cast<std::uint64_t>(place.phase);
  return static_cast<std::size_t>((key ^ key >> 29) * 0x9e3779b97f4a7c15 >> 16);
}

void PlaceSums::add(const TracedWork& work, const TracePlace& place) {
  const bool other_device = first_ || work.device != device_;
  if (other_device) {
    put_away(std::numeric_limits<std::int64_t>::max());
    device_end_ns_ = work.start_ns;
  } else if (open_.size() >= most_open_) {
    put_away(work.start_ns);
    most_open_ = std::max(most_open_, 2 * open_.size());
  }
  Sum& sum = open_[place];
  if (!other_device && place == last_ && work.start_ns > device_end_ns_) {
    sum.gaps += Duration{work.start_ns - device_end_ns_};
  }
  const auto beyond = [&](std::int64_t end_ns) {
    const std::int64_t fresh = std::max(work.start_ns, end_ns);
    return Duration{std::max<std::int64_t>(work.end_ns - fresh, 0)};
  };
  const Duration busy = beyond(sum.last_end_ns);
  sum.busy += busy;
  part_of(place) += busy;
  device_time_.all += beyond(device_end_ns_);
  sum.last_end_ns = std::max(sum.last_end_ns, work.end_ns);
  device_end_ns_ = std::max(device_end_ns_, work.end_ns);
  device_ = work.device;
  last_ = place;
  first_ = false;
}

Duration& PlaceSums::part_of(const TracePlace& place) {
  if (place.layer != TraceLayers::kNone) return device_time_.layers;
  return place.phase == Phase::kStep ? device_time_.optimizer : device_time_.unattributed;
}

/// What ended until then overlaps nothing that comes later on its device.
void PlaceSums::put_away(std::int64_t before_ns) {
  std::erase_if(open_, [&](const auto& each) {
    const auto& [place, sum] = each;
    if (sum.last_end_ns > before_ns) return false;
    parts_.add({place, sum.busy, sum.gaps});
    return true;
  });
}

void PlaceSums::finish() {
  put_away(std::numeric_limits<std::int64_t>::max());
  Samples times, busy;
  const auto close = [&](const TracePlace& place) {
    Measured& result = measured_[{place.layer, place.phase}];
    result = summarize(std::exchange(times, {}));
    result.busy = summarize(std::exchange(busy, {})).median;
  };
  std::optional<TracePlace> last;
  auto reader = parts_.read();
  while (const Part* part = reader.next()) {
    const TracePlace& here = part->place;
    if (last && (last->layer != here.layer || last->phase != here.phase)) close(*last);
    if (!last || *last != here) {
      times.emplace_back();
      busy.emplace_back();
    }
    times.back() += part->busy + part->gaps;
    busy.back() += part->busy;
    last = here;
  }
  if (last) close(*last);
}

std::optional<Measured> PlaceSums::measured(std::uint32_t layer, Phase phase) const {
  const auto found = measured_.find({layer, phase});
  if (found == measured_.end()) return {};
  return found->second;
}

}  // namespace shardlab
