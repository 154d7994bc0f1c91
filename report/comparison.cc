#include "report/comparison.h"

#include <utility>

#include <fmt/format.h>

#include "core/error.h"
#include "policies/bounds.h"
#include "policies/registry.h"
#include "policies/replay.h"
#include "report/ranking.h"
#include "sched/ledger.h"
#include "sched/link.h"
#include "sim/simulator.h"

namespace shardlab {
namespace {

void refuse_another(const Program& program, const Cluster& cluster, const Timeline& measured) {
  if (measured.interrupted)
    throw Error("the run was interrupted: only a whole run can be compared");
  if (measured.jobs.size() != program.jobs.size() || measured.ends.size() != program.jobs.size()) {
    throw Error(fmt::format("the timeline has {} jobs, the plan {}", measured.jobs.size(),
                            program.jobs.size()));
  }
  if (measured.devices.size() != cluster.devices.size()) {
    throw Error(fmt::format("the timeline has {} devices, the cluster {}", measured.devices.size(),
                            cluster.devices.size()));
  }
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    if (measured.jobs[j] == program.jobs[j].name) continue;
    throw Error(fmt::format("job {} is \"{}\" in the timeline and \"{}\" in the workload", j,
                            measured.jobs[j], program.jobs[j].name));
  }
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    if (measured.ends[j].minibatches <= program.jobs[j].minibatches) continue;
    throw Error(fmt::format("ends: {} has {} minibatches, the workload {}", measured.jobs[j],
                            measured.ends[j].minibatches, program.jobs[j].minibatches));
  }
  for (const CopySpan& span : measured.copies) {
    if (std::max({span.done, span.lane_to, span.link_to}) <= measured.makespan) continue;
    throw Error("copies: one ends after the run");
  }
  for (std::size_t row = 0; row < measured.units.size(); ++row) {
    const UnitSpan& span = measured.units[row];
    const auto& units = program.jobs.at(index(span.job)).units;
    const bool same =
        span.unit < units.size() && units[span.unit].kind == span.kind &&
        units[span.unit].shard == span.shard &&
        (units[span.unit].bound == kNoDevice || units[span.unit].bound == span.device);
    if (same) continue;
    throw Error(
        fmt::format("units: row {}: is no unit of this plan; give the plan that was run "
                    "with --plan",
                    row));
  }
}

/// Every unit of the complete minibatches once, one after the other, within the makespan: else a
/// replay would wait for ever for what is missing.
void refuse_gaps(const Program& program, const Timeline& measured) {
  const Ledger ledger(program);
  std::vector<std::int64_t> next(ledger.tracks());
  std::vector<Instant> end(ledger.tracks());
  const auto track_of = [&](std::size_t j, const Unit& unit) -> Track {
    return tracks_of(program.jobs[j])[unit.track];
  };
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    for (const Track& track : tracks_of(program.jobs[j])) {
      const Unit& first = program.jobs[j].units[track.first];
      next[index(ledger.track_of(job_id(j), first))] = program.jobs[j].done * track.count;
    }
  }
  for (const UnitSpan& span : measured.units) {
    const std::size_t j = index(span.job);
    const Unit& unit = program.jobs[j].units[span.unit];
    const Track track = track_of(j, unit);
    const std::size_t t = index(ledger.track_of(span.job, unit));
    const std::int64_t minibatch = next[t] / track.count;
    const std::int64_t expected = track.first + next[t] % track.count;
    ++next[t];
    if (span.minibatch != minibatch || span.unit != expected) {
      throw Error(
          fmt::format("units: {} has unit {} of minibatch {} where unit {} of minibatch {} "
                      "belongs",
                      measured.jobs[j], span.unit, span.minibatch, expected, minibatch));
    }
    if (span.from < end[t] || span.to > measured.makespan) {
      throw Error(
          fmt::format("units: {}: unit {} of minibatch {} runs before the one before it "
                      "ends, or after the run",
                      measured.jobs[j], span.unit, span.minibatch));
    }
    end[t] = span.to;
  }
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    std::int64_t ran = 0;
    for (const TrackId track : ledger.track_ids(job_id(j))) ran += next[index(track)];
    const auto units = static_cast<std::int64_t>(program.jobs[j].units.size());
    if (ran == units * program.jobs[j].minibatches) continue;
    throw Error(fmt::format("units: {} has {} of {} units", measured.jobs[j], ran,
                            units * program.jobs[j].minibatches));
  }
}

/// Program, timeline and plan of the minibatches that were completed.
struct Completed {
  Program program;
  Timeline measured;
  Plan plan;
  std::string note;
};

Completed completed(const Program& program, const Timeline& measured, const Plan& plan) {
  Completed cut{program, measured, plan, {}};
  cut.program.jobs.clear();
  cut.measured.jobs.clear();
  cut.measured.ends.clear();
  cut.measured.given_back.clear();  // Of no use without times.
  std::vector<JobId> now(program.jobs.size(), kNoJob);
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    const JobEnd& end = measured.ends[j];
    if (end.minibatches != program.jobs[j].minibatches) {
      cut.note += fmt::format("{}{} counts with {} of {} minibatches", cut.note.empty() ? "" : "; ",
                              measured.jobs[j], end.minibatches, program.jobs[j].minibatches);
    }
    if (end.minibatches <= program.jobs[j].done) continue;
    now[j] = job_id(cut.program.jobs.size());
    cut.program.jobs.push_back(program.jobs[j]);
    cut.program.jobs.back().minibatches = end.minibatches;
    cut.measured.jobs.push_back(measured.jobs[j]);
    cut.measured.ends.push_back(end);
  }
  if (cut.program.jobs.empty()) throw Error("no job completed a minibatch: nothing to compare");
  const auto drop = [&](auto& span) {
    const std::size_t old = index(span.job);
    span.job = now[old];
    return span.job == kNoJob || span.minibatch >= measured.ends[old].minibatches;
  };
  std::erase_if(cut.measured.units, drop);
  std::erase_if(cut.plan.order, drop);
  // Copies at the end of a job count as those of the minibatch after its last.
  std::erase_if(cut.measured.copies, [&](CopySpan& span) {
    span.job = now[index(span.job)];
    return span.job == kNoJob;
  });
  return cut;
}

Timeline simulated(const Program& program, const Cluster& cluster, Policy& policy, Costs& costs,
                   const std::string& plan) {
  Timeline timeline;
  simulate(program, cluster, policy, costs, &timeline);
  timeline.plan = plan;
  return timeline;
}

}  // namespace

double Comparison::error() const {
  return seconds(measured.makespan) / seconds(predicted.makespan) - 1;
}

double Comparison::naive_error() const { return seconds(measured.makespan) / seconds(naive) - 1; }

double Comparison::gap() const {
  return gap_over(seconds(predicted.makespan), seconds(lower_bound));
}

Comparison compare(const Program& program, const Cluster& cluster, const Plan& plan,
                   const Timeline& measured) {
  refuse_another(program, cluster, measured);
  auto [cut, timeline, chosen, note] = completed(program, measured, plan);
  refuse_gaps(cut, timeline);
  const auto decided_freely = [&](const Program& work, const Cluster& where, Costs& costs) {
    const auto policy = make_policy(chosen, work, where.devices.size(), Replay::Times::kIgnored);
    return simulated(work, where, *policy, costs, plan.name);
  };
  const Cluster as_measured = without_contention(cluster);
  // What was measured stands for itself: what no unit and no copy took is dispatch, foreseen or
  // not.
  Program undelayed = cut;
  undelayed.dispatch_alone = undelayed.dispatch_loaded = {};
  EstimatedCosts profile(cut);
  MeasuredCosts median(timeline, cut, MeasuredCosts::Detail::kMedian);
  MeasuredCosts each(timeline, cut, MeasuredCosts::Detail::kEach);
  MeasuredCosts each_again(timeline, cut, MeasuredCosts::Detail::kEach);
  Replay decisions(order_of(timeline), cut, cluster.devices.size(), Replay::Times::kIgnored);

  Comparison result;
  result.predicted = decided_freely(cut, cluster, profile);
  const Instant without_dispatch = decided_freely(undelayed, cluster, profile).makespan;
  const Instant with_medians = decided_freely(undelayed, as_measured, median).makespan;
  const Instant with_each = decided_freely(undelayed, as_measured, each).makespan;
  result.replayed = simulated(undelayed, as_measured, decisions, each_again, plan.name);
  result.replayed.source = "replayed";
  const Duration foreseen_dispatch = result.predicted.makespan - without_dispatch;
  result.split = {with_medians - without_dispatch, with_each - with_medians,
                  result.replayed.makespan - with_each,
                  timeline.makespan - result.replayed.makespan - foreseen_dispatch};
  result.naive = naive_estimate(cut, cluster);
  const Bounds found = bounds(cut, cluster);
  result.lower_bound = found.greatest();
  result.bound_by = found.binding();
  result.measured = std::move(timeline);
  result.note = std::move(note);
  return result;
}

}  // namespace shardlab
