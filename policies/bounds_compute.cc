#include <algorithm>
#include <functional>
#include <limits>

#include "policies/bound_parts.h"

/// What computing alone takes. Devices of different speed: of each class, the most of the least
/// time of any unit over its time there says how many nanoseconds of least time a device of it can
/// do in one. That is its *efficiency*, at most 1.
namespace shardlab {
namespace {

class Compute {
 public:
  Compute(const Program& program, const Cluster& cluster, bool may_pause)
      : program_(program), devices_(cluster.devices.size()), least_(program) {
    class_count_.resize(program.times.size() + 1);
    for (std::size_t d = 0; d < devices_; ++d) ++class_count_[class_of(d)];
    loaded_counts_ = !may_pause && loaded_but_at_the_end();
    if (loaded_counts_) quickest_ = quickest();
    rate_devices();
    sum_up();
  }

  [[nodiscard]] Duration work() const {
    // What arrives last has to be done after its arrival; so has all that arrives later than any.
    std::vector<std::size_t> by_arrival(program_.jobs.size());
    for (std::size_t j = 0; j < by_arrival.size(); ++j) by_arrival[j] = j;
    std::ranges::sort(by_arrival, std::greater{},
                      [&](std::size_t j) { return program_.jobs[j].arrival; });
    Duration longest{}, sum{};
    for (const std::size_t j : by_arrival) {
      if (job_work_[j] == Duration{}) continue;
      sum += job_work_[j];
      longest = std::max(longest, program_.jobs[j].arrival.time_since_epoch() + over_all(sum));
    }
    return longest;
  }

  [[nodiscard]] Duration levels() const {
    const std::size_t most = std::min(devices_, tracks_.size());
    std::vector<Duration> longest = tracks_;
    std::partial_sort(longest.begin(), longest.begin() + static_cast<std::ptrdiff_t>(most),
                      longest.end(), std::greater{});
    Duration bound{}, sum{};
    double rate = 0;
    for (std::size_t j = 0; j < most; ++j) {
      sum += longest[j];
      rate += efficiency_[j];
      const bool holds = !loaded_counts_ || rate >= quickest_ * efficiency_.front();
      if (holds) bound = std::max(bound, at_least(static_cast<double>(sum.count()) / rate));
    }
    return bound;
  }

  /// Of the kP + 1 longest jobs, some device has k + 1: at least the shortest of them together.
  [[nodiscard]] Duration packing() const {
    std::vector<Duration> jobs;
    for (std::size_t j = 0; j < program_.jobs.size(); ++j) {
      if (program_.jobs[j].resident) jobs.push_back(job_least_[j]);
    }
    std::ranges::sort(jobs, std::greater{});
    Duration bound{};
    for (std::size_t k = 1; k * devices_ < jobs.size(); ++k) {
      Duration sum{};
      for (std::size_t i = 0; i <= k; ++i) sum += jobs[k * devices_ - i];
      bound = std::max(bound, sum);
    }
    return bound;
  }

  [[nodiscard]] Duration device() const {
    return bound_.empty() ? Duration{} : *std::ranges::max_element(bound_);
  }

 private:
  [[nodiscard]] std::size_t class_of(std::size_t device) const {
    return program_.class_of.empty() ? 0 : program_.class_of[device];
  }
  [[nodiscard]] std::size_t classes() const { return class_count_.size(); }

  /// A unit costs what it costs alone only if it starts while one track is left. Where all begin at
  /// once, that is at the end: one device then works, no quicker than all did before if they are as
  /// many as it is quicker.
  [[nodiscard]] bool loaded_but_at_the_end() const {
    if (devices_ < 2 || program_.admit > 0) return false;
    return std::ranges::none_of(program_.jobs, [](const JobProgram& job) {
      return job.held || job.arrival > Instant{} || job.done > 0;
    });
  }

  /// By how much a unit is quicker alone, at most.
  [[nodiscard]] double quickest() const {
    double most = 1;
    for (std::size_t j = 0; j < program_.jobs.size(); ++j) {
      for (std::uint32_t u = 0; u < program_.jobs[j].units.size(); ++u) {
        for (std::size_t c = 0; c < classes(); ++c) {
          const UnitTimes times = times_of(program_, c, job_id(j), u);
          if (times.alone.total >= times.loaded.total) continue;
          most = std::max(most, static_cast<double>(times.loaded.total.count()) /
                                    static_cast<double>(times.alone.total.count()));
        }
      }
    }
    return most;
  }

  /// Of a unit on a class: loaded where that counts, else the least.
  [[nodiscard]] Duration time(JobId job, std::uint32_t unit, std::size_t which) const {
    const UnitTimes times = times_of(program_, which, job, unit);
    return loaded_counts_ ? times.loaded.total : std::min(times.alone.total, times.loaded.total);
  }
  [[nodiscard]] Duration least(JobId job, std::uint32_t unit) const {
    const DeviceId bound = program_.jobs[index(job)].units[unit].bound;
    if (bound != kNoDevice) return time(job, unit, class_of(index(bound)));
    Duration shortest = Duration::max();
    for (std::size_t c = 0; c < classes(); ++c) {
      if (class_count_[c] > 0) shortest = std::min(shortest, time(job, unit, c));
    }
    return shortest;
  }

  void rate_devices() {
    std::vector<double> best(classes(), classes() == 1 ? 1.0 : 0.0);
    for (std::size_t j = 0; classes() > 1 && j < program_.jobs.size(); ++j) {
      const JobProgram& job = program_.jobs[j];
      for (std::uint32_t u = 0; u < job.units.size(); ++u) {
        const auto shortest = static_cast<double>(least(job_id(j), u).count());
        for (std::size_t c = 0; c < classes(); ++c) {
          const DeviceId only = job.units[u].bound;
          if (only != kNoDevice && class_of(index(only)) != c) continue;
          const auto here = static_cast<double>(time(job_id(j), u, c).count());
          best[c] = std::max(best[c], here > 0 ? shortest / here : 1);
        }
      }
    }
    for (std::size_t d = 0; d < devices_; ++d) efficiency_.push_back(best[class_of(d)]);
    std::ranges::sort(efficiency_, std::greater{});
    // One track at a time of each job that runs.
    const bool one_each = track_count(program_) == program_.jobs.size();
    std::size_t at_once = devices_;
    if (program_.admit > 0 && one_each) {
      at_once = std::min(at_once, static_cast<std::size_t>(program_.admit));
    }
    for (std::size_t d = 0; d < at_once; ++d) rate_ += efficiency_[d];
    whole_ = classes() == 1 ? static_cast<Duration::rep>(at_once) : 0;
    if (loaded_counts_ && rate_ < quickest_ * efficiency_.front()) {
      loaded_counts_ = false;
      rate_ = 0;
      efficiency_.clear();
      rate_devices();
    }
  }

  void sum_up() {
    bound_.resize(devices_);
    for (std::size_t j = 0; j < program_.jobs.size(); ++j) {
      const JobProgram& job = program_.jobs[j];
      Duration work{}, all{};
      for (const Track& track : tracks_of(job)) {
        Duration chain{};
        for (std::uint32_t u = track.first; u < track.first + track.count; ++u) {
          all += minibatches_left(job) * least_.of(job_id(j), u).least;
          chain += minibatches_left(job) * least(job_id(j), u);
          if (const DeviceId at = job.units[u].bound; at != kNoDevice) {
            const UnitTimes here = times_of(program_, class_of(index(at)), job_id(j), u);
            bound_[index(at)] +=
                minibatches_left(job) * std::min(here.alone.total, here.loaded.total);
          }
        }
        tracks_.push_back(chain);
        work += chain;
      }
      job_work_.push_back(work);
      job_least_.push_back(all);
    }
  }

  [[nodiscard]] Duration over_all(Duration sum) const {
    if (whole_ > 0) return Duration{(sum.count() + whole_ - 1) / whole_};
    return rate_ > 0 ? at_least(static_cast<double>(sum.count()) / rate_) : Duration{};
  }

  const Program& program_;
  std::size_t devices_;
  TimeRanges least_;
  bool loaded_counts_ = false;
  double quickest_ = 1;  ///< See quickest().
  std::vector<std::size_t> class_count_;
  std::vector<double> efficiency_;  ///< Of the devices, greatest first.
  double rate_ = 0;                 ///< Of all that can work at once.
  Duration::rep whole_ = 0;         ///< The same where devices are equal.
  std::vector<Duration> tracks_, job_work_, job_least_, bound_;
};

}  // namespace

ComputeBounds compute_bounds(const Program& program, const Cluster& cluster, bool may_pause) {
  if (cluster.devices.empty()) return {};
  const Compute found(program, cluster, may_pause);
  return {found.work(), found.levels(), found.packing(), found.device()};
}

}  // namespace shardlab
