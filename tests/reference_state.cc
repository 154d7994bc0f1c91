#include <algorithm>
#include <cmath>

#include "tests/reference.h"

/// What the state says, found by looking through all of it.
namespace shardlab::reference {

Duration copy_time(Bytes bytes, Duration latency, double rate) {
  if (rate <= 0) return latency;
  return latency + Duration{std::llround(std::ceil(static_cast<double>(bytes) / rate * 1e9))};
}

const Unit& Simulation::unit_of(const Claim& claim) const {
  return program_.jobs[claim.job].units[claim.unit];
}

/// Of the unit's class on the device that claimed it.
UnitCost Simulation::cost_of(const Claim& claim) const {
  const Unit& own = unit_of(claim);
  std::size_t which = program_.class_of.empty() ? 0 : program_.class_of[claim.device];
  if (fault_ == Fault::kDevicesAlike) which = 0;
  if (which == 0) return claim.loaded ? own.loaded : own.alone;
  const UnitTimes& times = program_.times[which - 1][claim.job][claim.unit];
  return claim.loaded ? times.loaded : times.alone;
}

/// By the estimate.
Duration Simulation::expected(const Claim& claim) const {
  if (program_.class_of.empty()) return unit_of(claim).expected;
  Claim estimated = claim;
  estimated.loaded = !program_.jobs[claim.job].expects_alone;
  return cost_of(estimated).total;
}

std::uint32_t Simulation::unit_after(const Track& track, std::int64_t done) const {
  return static_cast<std::uint32_t>(track.first + done % track.count);
}

std::int64_t Simulation::length(const Track& track) const {
  return program_.jobs[track.job].minibatches * track.count;
}

/// All units of other tracks are done for which the unit after `done` others waits.
bool Simulation::unblocked(const Track& track, std::int64_t done) const {
  const std::vector<Unit>& units = program_.jobs[track.job].units;
  for (const Dependency& on : units[unit_after(track, done)].after) {
    for (const Track& other : tracks_) {
      const std::int64_t place = std::int64_t{on.unit} - other.first;
      if (other.job != track.job || place < 0 || place >= other.count) continue;
      const std::int64_t minibatch = done / track.count - on.lag;
      if (minibatch >= 0 && other.done <= minibatch * other.count + place) return false;
    }
  }
  return true;
}

std::int64_t Simulation::minibatches_done(std::size_t job) const {
  std::int64_t least = program_.jobs[job].minibatches;
  for (const Track& track : tracks_) {
    if (track.job == job) least = std::min(least, track.done / track.count);
  }
  return least;
}

/// Estimated time to the end of the track when `done` of its units are done.
Duration Simulation::remaining(const Track& track, std::int64_t done) const {
  Duration sum{};
  for (; done < length(track); ++done) {
    sum += program_.jobs[track.job].units[unit_after(track, done)].expected;
  }
  return sum;
}

std::vector<Claim> Simulation::claims_of(std::size_t track) const {
  std::vector<Claim> found;
  for (const Claim& claim : claims_) {
    if (claim.track == track) found.push_back(claim);
  }
  return found;
}

std::vector<Claim*> Simulation::claims_on(std::size_t device) {
  std::vector<Claim*> found;
  for (Claim& claim : claims_) {
    if (claim.device == device) found.push_back(&claim);
  }
  return found;
}

const Claim* Simulation::running_on(std::size_t device) const {
  for (const Claim& claim : claims_) {
    if (claim.device == device && claim.running) return &claim;
  }
  return nullptr;
}

bool Simulation::lane_is_free(std::size_t device) const {
  if (running_on(device) != nullptr) return false;
  return std::ranges::none_of(passages_, [&](const auto& each) {
    const Passage& passage = each.second;
    return passage.move.device == device && passage.where == Passage::Where::kLane;
  });
}

bool Simulation::runs(const Track& track) const {
  return jobs_[track.job].state == Job::State::kRunning;
}

bool Simulation::looks_ahead() const {
  return (policy_ == "lrtf" || policy_ == "srtf") && fault_ != Fault::kNoLookahead;
}

/// "A unit that starts while more than one job runs on more than one device costs loaded."
bool Simulation::loaded() const {
  const auto running = [&](const Track& track) { return runs(track); };
  if (fault_ == Fault::kAlwaysLoaded) return true;
  return cluster_.devices.size() > 1 && std::ranges::count_if(tracks_, running) > 1;
}

}  // namespace shardlab::reference
