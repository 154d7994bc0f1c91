#pragma once

#include <algorithm>
#include <cstdint>
#include <ranges>
#include <vector>

#include "core/large_array.h"
#include "sched/policy.h"
#include "sched/program.h"

namespace shardlab {

/// Progress of tracks: which unit of which minibatch comes next, and whether it can run.
class Ledger {
 public:
  explicit Ledger(const Program& program) {
    std::size_t units = 0;
    for (const JobProgram& job : program.jobs) units += job.units.size();
    steps_.reserve(units);  // Never moved from here on.
    progress_.reserve(track_count(program));
    for (std::size_t j = 0; j < program.jobs.size(); ++j) {
      const JobProgram& job = program.jobs[j];
      const Step* steps = steps_.data() + steps_.size();
      for (const Unit& unit : job.units) {
        steps_.push_back({unit.expected, unit.bound, unit.leads, !unit.after.empty()});
      }
      first_.push_back(static_cast<std::uint32_t>(progress_.size()));
      for (const Track& track : tracks_of(job)) {
        const Duration remaining = (job.minibatches - job.done) * track_time(job, track);
        progress_.push_back({steps, job_id(j), track.first, track.first + track.count, track.first,
                             job.done, job.minibatches, remaining});
        if (track.count > 0) look_up(progress_.back());
      }
      units_.push_back(job.units.data());
    }
    first_.push_back(static_cast<std::uint32_t>(progress_.size()));
  }

  [[nodiscard]] std::size_t tracks() const { return progress_.size(); }
  [[nodiscard]] JobId job(TrackId track) const { return at(track).job; }
  [[nodiscard]] std::size_t tracks(JobId job) const {
    return first_[index(job) + 1] - first_[index(job)];
  }
  [[nodiscard]] auto track_ids(JobId job) const {
    return std::views::iota(first_[index(job)], first_[index(job) + 1]) |
           std::views::transform([](std::uint32_t track) { return TrackId{track}; });
  }
  [[nodiscard]] TrackId track_of(JobId job, const Unit& unit) const {
    return TrackId{first_[index(job)] + unit.track};
  }

  /// The job's tracks are complete with so many minibatches; estimates of what remains stay those
  /// of the whole job.
  void stop_at(JobId job, std::int64_t minibatches) {
    for (const TrackId track : track_ids(job)) progress_[index(track)].minibatches = minibatches;
  }

  /// Up to where stop_at() or the program lets the job run.
  [[nodiscard]] std::int64_t goal(JobId job) const {
    return progress_[first_[index(job)]].minibatches;
  }
  /// The first border that no track of the job has come to.
  [[nodiscard]] std::int64_t next_border(JobId job) const {
    std::int64_t most = 0;
    for (const TrackId track : track_ids(job)) most = std::max(most, minibatch(track));
    return most + 1;
  }

  /// The track goes back to the beginning of a minibatch. Returns how many units it has done since.
  std::int64_t restart(TrackId track, std::int64_t minibatch) {
    Progress& now = progress_[index(track)];
    const std::int64_t since = now.minibatch - minibatch, done = now.unit - now.first;
    for (std::uint32_t u = now.first; u < now.end; ++u) {
      now.remaining += (since + (u < now.unit ? 1 : 0)) * now.steps[u].expected;
    }
    now.unit = now.first;
    now.minibatch = minibatch;
    look_up(now);
    return since * (now.end - now.first) + done;
  }
  /// Takes over where the job's units are bound now.
  void rebind(JobId job) {
    for (const TrackId track : track_ids(job)) {
      const Progress& now = at(track);
      Step* steps = steps_.data() + (now.steps - steps_.data());
      for (std::uint32_t u = now.first; u < now.end; ++u) {
        steps[u].bound = units_[index(job)][u].bound;
      }
    }
  }

  void fetch(TrackId track) const { __builtin_prefetch(&progress_[index(track)]); }

  /// The track's current unit is done.
  void advance(TrackId track) { step(progress_[index(track)]); }

  [[nodiscard]] bool complete(TrackId track) const {
    return at(track).minibatch == at(track).minibatches;
  }
  [[nodiscard]] std::int64_t minibatch(TrackId track) const { return at(track).minibatch; }
  /// Units of the track that are done, those before this run included.
  [[nodiscard]] std::size_t units_done(TrackId track) const {
    const Progress& now = at(track);
    return Track{now.first, now.end - now.first}.number(now.minibatch, now.unit);
  }
  /// Minibatches of the job that all its tracks have completed.
  [[nodiscard]] std::int64_t minibatch(JobId job) const {
    std::uint32_t track = first_[index(job)];
    std::int64_t least = progress_[track].minibatch;
    while (++track < first_[index(job) + 1]) least = std::min(least, progress_[track].minibatch);
    return least;
  }
  [[nodiscard]] std::uint32_t unit(TrackId track) const { return at(track).unit; }
  /// A unit of its current minibatch is done.
  [[nodiscard]] bool begun(TrackId track) const { return at(track).unit != at(track).first; }
  /// Requires: not complete.
  [[nodiscard]] const Unit& current(TrackId track) const {
    return units_[index(at(track).job)][at(track).unit];
  }
  /// Units of other tracks wait for the current one. Requires: not complete.
  [[nodiscard]] bool leads(TrackId track) const { return at(track).leads; }

  /// All units of other tracks that the current unit (or, `ahead`, the one after it) waits for are
  /// done.
  [[nodiscard]] bool unblocked(TrackId track, bool ahead = false) const {
    const Progress* now = &at(track);
    Progress next;
    if (ahead) {
      next = *now;
      step(next);
      now = &next;
    }
    if (!now->follows) return true;
    const Unit* units = units_[index(now->job)];
    for (const Dependency& on : units[now->unit].after) {
      const Progress& other = at(track_of(now->job, units[on.unit]));
      const std::int64_t wanted = now->minibatch - on.lag;
      const bool done =
          other.minibatch > wanted || (other.minibatch == wanted && other.unit > on.unit);
      if (!done) return false;
    }
    return true;
  }

  /// The track's current unit, or (`ahead`) the one after it, as a policy sees it.
  /// Requires: the track has that unit.
  [[nodiscard]] Candidate candidate(TrackId track, bool ahead = false) const {
    Progress now = at(track);
    if (ahead) step(now);
    const Step& unit = now.steps[now.unit];
    return {track,         now.job,      now.unit, now.minibatch, unit.bound,
            now.remaining, now.expected, {},       ahead};
  }
  [[nodiscard]] bool has_next(TrackId track) const {
    const Progress& now = at(track);
    return now.unit + 1 < now.end || now.minibatch + 1 < now.minibatches;
  }

 private:
  /// What is looked at for every unit that runs, apart from the rest, so that caches hold more.
  struct Step {
    Duration expected{};
    DeviceId bound = kNoDevice;
    bool leads = false, follows = false;  ///< Units of other tracks wait for it; it for them.
  };
  struct alignas(64) Progress {
    const Step* steps = nullptr;  ///< Of the job.
    JobId job{};
    std::uint32_t first = 0, end = 0;
    std::uint32_t unit = 0;
    std::int64_t minibatch = 0;
    std::int64_t minibatches = 0;
    Duration remaining{};  ///< Estimated time of all units of the track from the current one on.
    // Of the current unit's Step, which is then not waited for when that ends.
    Duration expected{};
    bool leads = false, follows = false;
  };
  static void look_up(Progress& now) {
    const Step& current = now.steps[now.unit];
    now.expected = current.expected;
    now.leads = current.leads;
    now.follows = current.follows;
  }
  static void step(Progress& now) {
    now.remaining -= now.expected;
    if (++now.unit == now.end) {
      now.unit = now.first;
      ++now.minibatch;
    }
    look_up(now);
  }
  [[nodiscard]] const Progress& at(TrackId track) const { return progress_[index(track)]; }

  LargeArray<Step> steps_;  ///< Of all units of all jobs.
  LargeArray<Progress> progress_;
  std::vector<const Unit*> units_;    ///< Per job.
  std::vector<std::uint32_t> first_;  ///< Per job, and one past the last: its first track.
};

}  // namespace shardlab
