#include <algorithm>
#include <limits>
#include <set>

#include "policies/bound_parts.h"
#include "policies/bound_rates.h"

/// What has to move. What lasts begins and ends in host memory. A minibatch of a chain reads the
/// parameters on its way up and all that lasts on its way down; of either, memory can hold no more
/// than its size when that begins, so the rest comes again. What is changed on the way down is
/// written back, but for what memory can hold until it is changed again. What the host steps with
/// goes back every time, and comes again. Or, if that is more, what reuse_bound() says.
namespace shardlab {
namespace {

constexpr double kUnbounded = std::numeric_limits<double>::infinity();

Rates below_switch(const Cluster& cluster, int parent) {
  Rates sum;
  for (const DeviceSpec& device : cluster.devices) {
    if (device.parent == parent) sum.add(rates_of(device));
  }
  for (std::size_t s = 0; s < cluster.switches.size(); ++s) {
    if (cluster.switches[s].parent == parent) sum.add(below_switch(cluster, static_cast<int>(s)));
  }
  if (parent != kNoSwitch) sum.limit(cluster.switches[static_cast<std::size_t>(parent)]);
  return sum;
}

Duration time_of(const Amount& amount, const Rates& rates) {
  const double longest = std::max(
      {amount.in / rates.in, amount.back / rates.back, (amount.in + amount.back) / rates.together});
  return at_least(longest * 1e9);
}

class Moves {
 public:
  /// With memory for all, or as it is.
  Moves(const Program& program, const Cluster& cluster, bool all_fits)
      : program_(program), cluster_(cluster), on_(cluster.devices.size()), first_(program) {
    for (const DeviceSpec& device : cluster.devices) {
      const bool limited = !all_fits && device.memory < kUnlimited;
      memory_.push_back(limited ? static_cast<double>(device.memory) : kUnbounded);
      all_memory_ += memory_.back();
    }
    for (const JobProgram& job : program.jobs) {
      if (minibatches_left(job) > 0) add(job);
    }
  }

  /// What the disk reads and writes because neither the devices nor the host can keep it.
  [[nodiscard]] Duration disk_time() const {
    const auto host = static_cast<double>(cluster_.host_memory);
    Amount amount;
    for (const JobProgram& job : program_.jobs) {
      const auto count = static_cast<double>(minibatches_left(job));
      if (count == 0 || tracks_of(job).size() != 1) continue;
      const Passes passes = passes_of(job, [](const Unit&) { return true; });
      const Amount again = again_of(passes, host + all_memory_);
      amount.in += count * again.in;
      amount.back += (count - 1) * again.back;
    }
    amount.in = std::max(amount.in, once_ - host);  // It begins with the rest on the disk.
    return time_of(amount, {or_unbounded(cluster_.disk->read.bytes_per_second),
                            or_unbounded(cluster_.disk->write.bytes_per_second), kUnbounded});
  }

  [[nodiscard]] Duration time() const {
    Duration longest = time_of(all_, rates_of_all(cluster_));
    for (std::size_t d = 0; d < on_.size(); ++d) {
      longest = std::max(longest, time_of(on_[d], rates_of(cluster_.devices[d])));
    }
    return longest;
  }

  [[nodiscard]] const Amount& others() const { return others_; }

 private:
  void add(const JobProgram& job) {
    std::set<DeviceId> places;
    for (const Unit& unit : job.units) places.insert(unit.bound);
    for (const DeviceId place : places) {
      const bool chain = tracks_of(job).size() == 1;
      const bool anywhere = place == kNoDevice;
      const double memory = !chain ? kUnbounded : anywhere ? all_memory_ : memory_[index(place)];
      const Passes passes = passes_of(job, [&](const Unit& unit) { return unit.bound == place; });
      const Amount amount = amount_of(job, passes, memory);
      all_.add(amount);
      if (!spills(job)) others_.add(amount);
      if (!anywhere) on_[index(place)].add(amount);
    }
    // In host memory and on the disk replicas have one.
    once_ += passes_of(job, [](const Unit&) { return true; }).once;
    add_shared(job);
  }

  /// Of what a job's units read in a minibatch on its way up and down, and change, bytes that last
  /// and are the job's own; `once`: of either way.
  struct Passes {
    double once = 0, up = 0, down = 0, changed = 0;
    double stepped = 0, stepped_up = 0;  ///< Of it, what the host steps with; on the way up.
  };
  template <typename Counts>
  [[nodiscard]] static Passes passes_of(const JobProgram& job, const Counts& counts) {
    std::vector<bool> up(job.items.size()), down(job.items.size()), changed(job.items.size());
    bool turned = false;
    for (const Unit& unit : job.units) {
      turned = turned || unit.kind != UnitKind::kForward;
      if (!counts(unit)) continue;
      for (const ItemIndex i : unit.reads) (turned ? down : up)[i] = true;
      for (const ItemIndex i : unit.writes) changed[i] = true;
    }
    Passes passes;
    for (std::size_t i = 0; i < job.items.size(); ++i) {
      const Item& item = job.items[i];
      if (!item.lasting || item.shared != Item::kNotShared) continue;
      const auto bytes = static_cast<double>(item.bytes);
      passes.once += up[i] || down[i] ? bytes : 0;
      passes.up += up[i] ? bytes : 0;
      passes.down += down[i] ? bytes : 0;
      passes.changed += changed[i] ? bytes : 0;
      passes.stepped += item.host_steps && changed[i] ? bytes : 0;
      passes.stepped_up += item.host_steps && changed[i] && up[i] ? bytes : 0;
    }
    return passes;
  }

  [[nodiscard]] static double beyond(double bytes, double memory) {
    return std::max(0.0, bytes - memory);
  }

  /// Of a minibatch that follows another: what `memory` cannot keep from one pass to the next.
  [[nodiscard]] static Amount again_of(const Passes& passes, double memory) {
    const double up = passes.stepped_up + beyond(passes.up - passes.stepped_up, memory);
    return {std::max(passes.stepped, up + beyond(passes.down, memory)),
            passes.stepped + beyond(passes.changed - passes.stepped, memory)};
  }

  [[nodiscard]] static Amount amount_of(const JobProgram& job, const Passes& passes,
                                        double memory) {
    const Amount again = again_of(passes, memory);
    const auto count = static_cast<double>(minibatches_left(job) - 1);
    return {std::max(passes.once, passes.up + beyond(passes.down, memory)) + count * again.in,
            passes.changed + count * again.back};
  }

  /// What jobs share comes once for all of them.
  void add_shared(const JobProgram& job) {
    std::vector<bool> read(job.items.size());
    for (const Unit& unit : job.units) {
      for (const ItemIndex i : unit.reads) read[i] = true;
    }
    for (std::size_t i = 0; i < job.items.size(); ++i) {
      const Item& item = job.items[i];
      const bool shared = item.lasting && item.shared != Item::kNotShared;
      if (!shared || !read[i] || !first_(item)) continue;
      all_.in += static_cast<double>(item.bytes);
      others_.in += static_cast<double>(item.bytes);
      once_ += static_cast<double>(item.bytes);
    }
  }

  const Program& program_;
  const Cluster& cluster_;
  std::vector<double> memory_;
  double all_memory_ = 0;
  double once_ = 0;  ///< All that is read.
  Amount all_;
  Amount others_;           ///< Of it, of what no job that spills() has to itself.
  std::vector<Amount> on_;  ///< Of what is bound to a device.
  FirstSight first_;
};

}  // namespace

Rates rates_of(const DeviceSpec& device) {
  Rates rates{or_unbounded(device.link.bytes_per_second),
              or_unbounded(device.link_back().bytes_per_second), 0};
  // One engine serves one direction at a time.
  rates.together =
      device.copy_engines == 1 ? std::max(rates.in, rates.back) : rates.in + rates.back;
  return rates;
}

Rates rates_of_all(const Cluster& cluster) { return below_switch(cluster, kNoSwitch); }

MoveBounds move_bounds(const Program& program, const Cluster& cluster) {
  if (cluster.devices.empty()) return {};
  const Moves limited(program, cluster, false);
  const Duration reuse = reuse_bound(program, cluster, limited.others());
  return {Moves(program, cluster, true).time(), std::max(limited.time(), reuse),
          cluster.disk ? limited.disk_time() : Duration{}};
}

}  // namespace shardlab
