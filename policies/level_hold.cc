#include "policies/level_hold.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace shardlab {
namespace {

/// Speeds are sums of rounded times: nearer than this they are equal.
constexpr double kEqual = 1.0001;

/// Levels are sorted again after one choice for so many tracks.
constexpr std::size_t kTracksPerChoice = 8;

}  // namespace

void LevelHold::begin(const StateView& view) {
  view_ = &view;
  const Program& program = view.program();
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    auto& own = tracks_.emplace_back();
    for (const Track& track : tracks_of(program.jobs[j])) {
      own.push_back(track_id(level_.size()));
      level_.push_back(program.jobs[j].minibatches * track_time(program.jobs[j], track).count());
    }
  }
  waiting_.resize(level_.size());
  measure_speeds();
  awaited_.resize(speed_.size());
}

/// Of a device: the time of all work on class 0 over its time there.
void LevelHold::measure_speeds() {
  const Program& program = view_->program();
  speed_.resize(view_->cluster().devices.size());
  for (std::size_t d = 0; d < speed_.size() && !program.class_of.empty(); ++d) {
    double there = 0, here = 0;
    for (std::size_t j = 0; j < program.jobs.size(); ++j) {
      const auto count = static_cast<double>(program.jobs[j].minibatches);
      for (std::uint32_t u = 0; u < program.jobs[j].units.size(); ++u) {
        there += count * static_cast<double>(program.jobs[j].units[u].expected.count());
        here +=
            count * static_cast<double>(expected_on(program, job_id(j), u, device_id(d)).count());
      }
    }
    if (here > 0 && there > 0) speed_[d].own = there / here;
  }
  for (std::size_t d = 0; d < speed_.size(); ++d) by_speed_.push_back(device_id(d));
  std::ranges::stable_sort(by_speed_, std::greater{},
                           [this](DeviceId d) { return speed_[index(d)].own; });
  double sum = 0;
  for (std::size_t i = 0; i < by_speed_.size(); ++i) {
    Speed& here = speed_[index(by_speed_[i])];
    sum_of_speeds_.push_back(sum += here.own);
    while (here.faster < i && speed_[index(by_speed_[here.faster])].own > here.own * kEqual) {
      ++here.faster;
    }
    mixed_ = mixed_ || here.faster > 0;
  }
}

void LevelHold::ended(JobId job) {
  for (const TrackId track : tracks_[index(job)]) level_[index(track)] = 0;
  fresh_for_ = 0;
}

void LevelHold::refresh() {
  const std::size_t alive =
      level_.size() - static_cast<std::size_t>(std::ranges::count(level_, std::int64_t{0}));
  fresh_for_ = alive / kTracksPerChoice;
  highest_.resize(std::min(level_.size(), speed_.size()));
  std::ranges::partial_sort_copy(level_, highest_, std::greater{});
  double least =
      static_cast<double>(std::accumulate(level_.begin(), level_.end(), std::int64_t{0})) /
      sum_of_speeds_.back();
  double sum = 0;
  slack_.assign(speed_.size(), 0);
  for (std::size_t j = 0; j < slack_.size(); ++j) {
    sum += j < highest_.size() ? static_cast<double>(highest_[j]) : 0;
    slack_[j] = -sum;
    if (j + 1 < slack_.size()) least = std::max(least, sum / sum_of_speeds_[j]);
  }
  for (std::size_t j = 0; j < slack_.size(); ++j) slack_[j] += sum_of_speeds_[j] * least;
}

void LevelHold::chooses(const DeviceView& device) {
  chooser_ = device.id;
  if (speed_[index(chooser_)].faster == 0) return;
  if (fresh_for_ == 0) {
    refresh();
  } else {
    --fresh_for_;
  }
  free_at_ = device.buffer ? view_->lane(device.id).free_at : device.now;
  awaited_.assign(awaited_.size(), false);
}

bool LevelHold::holds(const Candidate& unit) {
  const Speed& speed = speed_[index(chooser_)];
  if (speed.faster == 0 || unit.bound != kNoDevice) return false;
  const auto higher = std::ranges::lower_bound(highest_, unit.remaining.count(), std::greater{});
  const auto rank = static_cast<std::size_t>(higher - highest_.begin());
  const Duration takes = time(unit, chooser_);
  return loses(rank, static_cast<double>(takes.count())) &&
         faster_is_earlier(unit, free_at_ + takes);
}

bool LevelHold::loses(std::size_t rank, double time) const {
  const Speed& speed = speed_[index(chooser_)];
  for (std::size_t j = rank; j < speed.faster; ++j) {
    const double lost = (speed_[index(by_speed_[j])].own - speed.own) * time;
    if (slack_[j] < lost) return true;
  }
  return false;
}

bool LevelHold::faster_is_earlier(const Candidate& unit, Instant end) {
  for (std::size_t i = 0; i < speed_[index(chooser_)].faster; ++i) {
    const DeviceId other = by_speed_[i];
    if (awaited_[index(other)]) continue;
    if (view_->lane(other).free_at + time(unit, other) >= end) continue;
    awaited_[index(other)] = true;
    return true;
  }
  return false;
}

}  // namespace shardlab
