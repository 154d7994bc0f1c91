#include "sched/program.h"

#include <algorithm>

#include "core/error.h"

namespace shardlab {
namespace {

/// Walks the units in an order in which all could run; what is left over waits in a circle.
void refuse_circles(const JobProgram& job, const std::vector<Track>& tracks) {
  std::vector<std::uint32_t> at(tracks.size());
  const auto done = [&](std::uint32_t unit) {
    const std::uint32_t track = job.units[unit].track;
    return unit < tracks[track].first + at[track];
  };
  const auto runs = [&](const Unit& unit) {
    for (const Dependency& on : unit.after) {
      if (on.lag == 0 && !done(on.unit)) return false;
    }
    return true;
  };
  std::size_t left = job.units.size();
  for (bool moved = true; moved && left > 0;) {
    moved = false;
    for (std::size_t t = 0; t < tracks.size(); ++t) {
      while (at[t] < tracks[t].count && runs(job.units[tracks[t].first + at[t]])) {
        ++at[t];
        --left;
        moved = true;
      }
    }
  }
  if (left > 0) throw Error(job.name + ": units wait for each other in a circle");
}

}  // namespace

std::vector<bool> shards_on_host(const JobProgram& job) {
  std::vector<bool> shards(job.host_step.size());
  for (const Item& item : job.items) {
    if (item.host_steps) shards[static_cast<std::size_t>(item.shard)] = true;
  }
  return shards;
}

bool steps_on_host(const Program& program) {
  return std::ranges::any_of(program.jobs,
                             [](const JobProgram& job) { return !job.host_step.empty(); });
}

TimeRanges::TimeRanges(const Program& program) : program_(program) {
  const auto& classes = program.class_of;
  const bool own = classes.empty() || std::ranges::find(classes, 0) != classes.end();
  first_class_ = own ? 0 : 1;
}

TimeRanges::Range TimeRanges::of(JobId job, std::uint32_t unit) const {
  Range range{Duration::max(), Duration{}};
  for (std::size_t c = first_class_; c <= program_.times.size(); ++c) {
    const UnitTimes times = times_of(program_, c, job, unit);
    range.least = std::min({range.least, times.alone.total, times.loaded.total});
    range.most = std::max({range.most, times.alone.total, times.loaded.total});
  }
  return range;
}

void connect(JobProgram& job) {
  const std::vector<Track> tracks = tracks_of(job);
  for (Unit& unit : job.units) {
    unit.leads = false;
    unit.before.clear();
  }
  for (std::size_t t = 0; t < tracks.size(); ++t) {
    for (std::uint32_t u = 0; u < tracks[t].count; ++u) {
      job.units[tracks[t].first + u].track = static_cast<std::uint32_t>(t);
    }
  }
  for (std::size_t u = 0; u < job.units.size(); ++u) {
    for (const Dependency& on : job.units[u].after) {
      Unit& leader = job.units.at(on.unit);
      leader.leads = true;
      leader.before.push_back(static_cast<std::uint32_t>(u));
    }
  }
  refuse_circles(job, tracks);
}

}  // namespace shardlab
