#pragma once

#include <cstddef>
#include <cstdint>

#include "core/counter_hash.h"
#include "sched/program.h"

namespace shardlab {

/// What compute_only() draws times up to, in ns: so long that two units seldom end together.
constexpr std::uint64_t kLongest = 1'000'000;

/// M jobs of K shards and B minibatches that only compute: units = (2K-1) B M. Durations are drawn
/// per job, shard and phase (forward or the rest). Made by hand, as simpy_peer.py makes it too:
/// there is no profile to lower, and no item.
inline Program compute_only(int jobs, int shards, std::int64_t minibatches) {
  Program program;
  program.jobs.resize(static_cast<std::size_t>(jobs));
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    JobProgram& job = program.jobs[j];
    job.minibatches = minibatches;
    for (int u = 0; u < 2 * shards - 1; ++u) {
      const bool forward = u < shards - 1;
      Unit unit;
      unit.shard = forward ? u : 2 * (shards - 1) - u;
      unit.kind = forward           ? UnitKind::kForward
                  : u == shards - 1 ? UnitKind::kFused
                                    : UnitKind::kBackward;
      const auto shard = static_cast<std::uint64_t>(unit.shard);
      const std::uint64_t drawn = counter_hash({j, shard, forward ? 0U : 1U});
      unit.alone = unit.loaded = {Duration{static_cast<Duration::rep>(1 + drawn % kLongest)}, {}};
      job.units.push_back(unit);
    }
    expect(job, false);
  }
  return program;
}

/// The same, spilled: a shard's parameters, of 1 to `largest` bytes, are on the device while a unit
/// of it runs, and go home when a backward has changed them. Two slots: the next one's come
/// meanwhile.
inline Program spilled(int jobs, int shards, std::int64_t minibatches, std::uint64_t largest) {
  Program program = compute_only(jobs, shards, minibatches);
  program.slots = 2;
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    JobProgram& job = program.jobs[j];
    for (int s = 0; s < shards; ++s) {
      const std::uint64_t drawn = counter_hash({j, static_cast<std::uint64_t>(s), 2});
      Item item;
      item.kind = ItemKind::kParameters;
      item.shard = s;
      item.bytes = static_cast<Bytes>(1 + drawn % largest);
      item.lasting = true;
      job.items.push_back(item);
    }
    for (Unit& unit : job.units) {
      const auto parameters = static_cast<ItemIndex>(unit.shard);
      unit.reads.add(parameters);
      if (unit.kind != UnitKind::kForward) unit.writes.add(parameters);
    }
  }
  return program;
}

}  // namespace shardlab
