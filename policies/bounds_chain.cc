#include <algorithm>
#include <deque>

#include "policies/bound_parts.h"
#include "sched/link.h"

/// The longest path through a job: along its tracks, over what they wait for of each other, from
/// minibatch to minibatch. Ends of a minibatch follow from those of the one before by sums and
/// maxima alone; so once all of them are later than some minibatches ago by the same time, they
/// remain so, and what is left need not be counted out.
namespace shardlab {
namespace {

using Times = std::vector<Duration>;

/// The link on which a copy takes least, in both of its numbers.
LinkSpec quickest(const Cluster& cluster, const LinkSpec& (*of)(const DeviceSpec&)) {
  LinkSpec best = of(cluster.devices.front());
  for (const DeviceSpec& device : cluster.devices) {
    const LinkSpec& link = of(device);
    best.latency = std::min(best.latency, link.latency);
    const bool limited = link.bytes_per_second > 0 && best.bytes_per_second > 0;
    best.bytes_per_second = limited ? std::max(link.bytes_per_second, best.bytes_per_second) : 0;
  }
  return best;
}

class Path {
 public:
  Path(const Program& program, const Cluster& cluster, JobId job, const TimeRanges& least,
       const LinkSpec& in, const LinkSpec& out)
      : job_(program.jobs[index(job)]), cluster_(cluster), in_(in), out_(out) {
    tracks_ = tracks_of(job_);
    for (std::uint32_t u = 0; u < job_.units.size(); ++u) {
      time_.push_back(time_on(program, job, u, least));
    }
    sort();
  }

  [[nodiscard]] Duration length() const {
    if (minibatches_left(job_) == 0) return {};
    Times ends = first_minibatch();
    std::deque<Times> history{ends};
    for (std::int64_t left = minibatches_left(job_) - 1; left > 0; --left) {
      ends = minibatch_after(ends);
      const auto [period, later] = repeats(history, ends);
      if (period > 0) {
        // Whole periods at once; the rest as it was in the last one.
        const std::int64_t rest = (left - 1) % period;
        for (Duration& end : ends) end += (left - 1) / period * later;
        for (std::int64_t i = 0; i < rest; ++i) ends = minibatch_after(ends);
        break;
      }
      if (minibatches_left(job_) - left > kMostMinibatches) return beyond(ends, left - 1);
      history.push_front(ends);
      if (history.size() > kLongestPeriod) history.pop_back();
    }
    return last_of(ends);
  }

 private:
  static constexpr std::size_t kLongestPeriod = 16;
  static constexpr std::int64_t kMostMinibatches = 1000;

  [[nodiscard]] static Duration time_on(const Program& program, JobId job, std::uint32_t unit,
                                        const TimeRanges& least) {
    const DeviceId bound = program.jobs[index(job)].units[unit].bound;
    if (bound == kNoDevice || program.class_of.empty()) return least.of(job, unit).least;
    const UnitTimes times = times_of(program, program.class_of[index(bound)], job, unit);
    return std::min(times.alone.total, times.loaded.total);
  }

  /// An order in which every unit comes after those that it waits for in the same minibatch.
  void sort() {
    std::vector<std::uint32_t> waits(job_.units.size());
    for (std::uint32_t u = 0; u < waits.size(); ++u) {
      waits[u] = u == first_of(u) ? 0 : 1;
      for (const Dependency& on : job_.units[u].after) waits[u] += on.lag == 0 ? 1 : 0;
      if (waits[u] == 0) order_.push_back(u);
    }
    for (std::size_t i = 0; i < order_.size(); ++i) {
      const std::uint32_t done = order_[i];
      const auto wait_less = [&](std::uint32_t u) {
        if (--waits[u] == 0) order_.push_back(u);
      };
      const Track& track = tracks_[job_.units[done].track];
      if (done + 1 < track.first + track.count) wait_less(done + 1);
      for (const std::uint32_t follower : job_.units[done].before) {
        for (const Dependency& on : job_.units[follower].after) {
          if (on.unit == done && on.lag == 0) wait_less(follower);
        }
      }
    }
  }

  [[nodiscard]] std::uint32_t first_of(std::uint32_t unit) const {
    return tracks_[job_.units[unit].track].first;
  }

  template <typename Begin>
  [[nodiscard]] Times minibatch(const Begin& begin, const Times* before) const {
    Times ends(job_.units.size());
    for (const std::uint32_t u : order_) {
      const Track& track = tracks_[job_.units[u].track];
      Duration start = u == track.first ? begin(u) : ends[u - 1];
      for (const Dependency& on : job_.units[u].after) {
        if (on.lag == 0) start = std::max(start, ends[on.unit]);
        if (on.lag > 0 && before != nullptr) start = std::max(start, (*before)[on.unit]);
      }
      ends[u] = start + time_[u];
    }
    return ends;
  }

  [[nodiscard]] Times first_minibatch() const {
    return minibatch([&](std::uint32_t u) { return job_.arrival.time_since_epoch() + load(u); },
                     nullptr);
  }

  [[nodiscard]] Times minibatch_after(const Times& before) const {
    const auto last = [&](std::uint32_t u) {
      const Track& track = tracks_[job_.units[u].track];
      return before[track.first + track.count - 1];
    };
    return minibatch(last, &before);
  }

  /// Of a unit that is the first of its track: what lasts and no other job can have brought.
  [[nodiscard]] Duration load(std::uint32_t unit) const {
    const DeviceId bound = job_.units[unit].bound;
    const LinkSpec& link = bound == kNoDevice ? in_ : cluster_.devices[index(bound)].link;
    Duration sum{};
    for (const ItemIndex i : job_.units[unit].reads) {
      const Item& item = job_.items[i];
      const bool own = item.shared == Item::kNotShared;
      if (item.lasting && own && item.bytes > 0) sum += transfer_time(item.bytes, link);
    }
    return sum;
  }

  [[nodiscard]] Duration write_back(std::uint32_t unit) const {
    const DeviceId bound = job_.units[unit].bound;
    const LinkSpec& link = bound == kNoDevice ? out_ : cluster_.devices[index(bound)].link_back();
    Duration sum{};
    for (const ItemIndex i : job_.units[unit].writes) {
      const Item& item = job_.items[i];
      if (item.lasting && item.bytes > 0) sum += transfer_time(item.bytes, link);
      if (item.host_steps) sum += host_step(job_, i);
    }
    return sum;
  }

  /// After how many minibatches all ends came again, and how much later.
  [[nodiscard]] static std::pair<std::int64_t, Duration> repeats(const std::deque<Times>& history,
                                                                 const Times& ends) {
    for (std::size_t back = 0; back < history.size(); ++back) {
      const Duration later = ends.front() - history[back].front();
      bool same = true;
      for (std::size_t u = 1; same && u < ends.size(); ++u) {
        same = ends[u] - history[back][u] == later;
      }
      if (same) return {static_cast<std::int64_t>(back) + 1, later};
    }
    return {0, {}};
  }

  [[nodiscard]] Duration last_of(const Times& ends) const {
    Duration longest{};
    for (std::uint32_t u = 0; u < ends.size(); ++u) {
      longest = std::max(longest, ends[u] + write_back(u));
    }
    return longest;
  }

  /// With that many minibatches more, of which each track takes its own time at least.
  [[nodiscard]] Duration beyond(const Times& ends, std::int64_t minibatches) const {
    Duration longest{};
    for (const Track& track : tracks_) {
      Duration each{};
      for (std::uint32_t u = track.first; u < track.first + track.count; ++u) each += time_[u];
      const std::uint32_t last = track.first + track.count - 1;
      longest = std::max(longest, ends[last] + minibatches * each + write_back(last));
    }
    return longest;
  }

  const JobProgram& job_;
  const Cluster& cluster_;
  LinkSpec in_, out_;
  std::vector<Track> tracks_;
  Times time_;
  std::vector<std::uint32_t> order_;
};

}  // namespace

Duration critical_chain(const Program& program, const Cluster& cluster) {
  if (cluster.devices.empty()) return {};
  const TimeRanges least(program);
  const LinkSpec in =
      quickest(cluster, [](const DeviceSpec& d) -> const LinkSpec& { return d.link; });
  const LinkSpec out =
      quickest(cluster, [](const DeviceSpec& d) -> const LinkSpec& { return d.link_back(); });
  Duration longest{};
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    longest = std::max(longest, Path(program, cluster, job_id(j), least, in, out).length());
  }
  return longest;
}

}  // namespace shardlab
