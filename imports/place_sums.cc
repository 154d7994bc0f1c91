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
  if (device_ != work.device) {
    end_device();
    device_ = work.device;
  } else if (sums_.open() >= most_open_) {
    put_away(work.start_ns);
    most_open_ = std::max(most_open_, 2 * sums_.open());
  }
  const Interval when{work.start_ns, work.end_ns};
  if (work.worked) sums_.work(place, when);
  if (work.a_copy) sums_.copy(place, when, work.copied, work.bytes);
}

Duration& PlaceSums::part_of(const TracePlace& place) {
  if (place.layer != TraceLayers::kNone) return device_time_.layers;
  return place.phase == Phase::kStep ? device_time_.optimizer : device_time_.unattributed;
}

void PlaceSums::put_away(std::int64_t before_ns) {
  sums_.put_away(before_ns, [&](const TracePlace& place, const WorkSum& did) {
    part_of(place) += did.busy;
    parts_.add({place, did.launches, did.busy, did.waiting, did.gaps});
    for (const auto& [of, totals] : did.copies) copies_.add({place, of, totals});
  });
}

void PlaceSums::end_device() {
  put_away(std::numeric_limits<std::int64_t>::max());
  device_time_.all += sums_.all();
  sums_ = {};
}

void PlaceSums::finish() {
  end_device();
  add_minibatches();
  auto reader = copies_.read();
  while (const CopyPart* part = reader.next()) {
    shardlab::add(recorded_[{part->place.layer, part->place.phase}].copies, part->of, part->totals);
  }
}

/// One sample of each that something ran in.
void PlaceSums::add_minibatches() {
  Samples times, busy;
  Part sum;  // Of the minibatch at hand.
  const auto end_minibatch = [&] {
    ++recorded_[{sum.place.layer, sum.place.phase}].minibatches;
    if (sum.launches == 0) return;
    times.push_back(sum.busy + sum.waiting);
    busy.push_back(sum.busy);
  };
  const auto end_phase = [&] {
    if (times.empty()) return;
    Measured& result = measured_[{sum.place.layer, sum.place.phase}];
    result = summarize(std::exchange(times, {}));
    result.busy = summarize(std::exchange(busy, {})).median;
  };
  bool any = false;
  auto reader = parts_.read();
  while (const Part* part = reader.next()) {
    const TracePlace& here = part->place;
    if (any && sum.place != here) {
      end_minibatch();
      if (sum.place.layer != here.layer || sum.place.phase != here.phase) end_phase();
      sum = {};
    }
    any = true;
    sum.place = here;
    sum.launches += part->launches;
    sum.busy += part->busy;
    sum.waiting += part->waiting;
    DeviceWork& did = recorded_[{here.layer, here.phase}];
    did.launches += part->launches;
    did.busy += part->busy;
    did.gaps += part->gaps;
  }
  if (!any) return;
  end_minibatch();
  end_phase();
}

std::optional<Measured> PlaceSums::measured(std::uint32_t layer, Phase phase) const {
  const auto found = measured_.find({layer, phase});
  if (found == measured_.end()) return {};
  return found->second;
}

std::optional<DeviceWork> PlaceSums::recorded(std::uint32_t layer, Phase phase) const {
  const auto found = recorded_.find({layer, phase});
  if (found == recorded_.end()) return {};
  return found->second;
}

}  // namespace shardlab
