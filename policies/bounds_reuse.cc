#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "policies/bound_rates.h"
#include "sched/route.h"

/// What comes again because memory is only so large and time only so long. A unit that finds an
/// item on its device without a copy from the host finds one that stayed there since the unit
/// before it in its chain that used the item, at least; so long it took the item's bytes from some
/// device's memory, and the units that ran took theirs. All that is size x time, and of that there
/// is no more than all memory x the makespan T. The copies that are saved so are at most what a
/// fractional knapsack of that size holds, those first that stay the shortest. What is left has to
/// pass the links within T, and the least T for which that can be is the bound.
namespace shardlab {
namespace {

/// Copies that may be saved, by how long each of their bytes must stay for that, rounded down to
/// one part in 128: so a million jobs take no more room than one.
class Savings {
 public:
  void add(double bytes, double nanoseconds) { bytes_[bucket_of(nanoseconds)] += bytes; }

  /// The least time, in ns, in which `total` bytes, less what is saved, pass at `rate` bytes per
  /// ns, where what is saved and `used` fill `memory` x time.
  [[nodiscard]] double least_time(double total, double rate, double memory, double used) const {
    double saved = 0;
    for (std::size_t b = 0; b < bytes_.size(); ++b) {
      if (bytes_[b] == 0) continue;
      const double stay = least_of(b);
      if (stay == 0) {
        saved += bytes_[b];
        continue;
      }
      if (used / memory * rate + saved >= total) break;  // It need not take that long.
      const double time = (total - saved + used / stay) / (rate + memory / stay);
      if (time * memory <= used + bytes_[b] * stay) return time;
      saved += bytes_[b];
      used += bytes_[b] * stay;
    }
    return std::max(0.0, total - saved) / rate;
  }

 private:
  static constexpr int kParts = 128;
  static constexpr int kExponents = 64;
  static std::size_t bucket_of(double nanoseconds) {
    if (nanoseconds < 1) return 0;
    int exponent = 0;
    const double mantissa = std::frexp(nanoseconds, &exponent);  // In [0.5, 1).
    const int part = static_cast<int>((mantissa - 0.5) * 2 * kParts);
    return static_cast<std::size_t>(std::min(exponent, kExponents) * kParts + part);
  }
  static double least_of(std::size_t bucket) {
    if (bucket == 0) return 0;
    const auto exponent = static_cast<int>(bucket) / kParts;
    const auto part = static_cast<int>(bucket) % kParts;
    return std::ldexp(0.5 + 0.5 * part / kParts, exponent);
  }

  std::array<double, static_cast<std::size_t>(kParts) * (kExponents + 1)> bytes_{};
};

class Reuse {
 public:
  Reuse(const Program& program, double memory)
      : program_(program), memory_(memory), times_(program) {
    for (std::size_t j = 0; j < program.jobs.size(); ++j) {
      if (spills(program.jobs[j])) add(job_id(j));
    }
  }

  [[nodiscard]] Duration time(const Amount& others, const Rates& rates) const {
    const auto least = [&](const Savings& savings, double bytes, double rate) {
      if (!std::isfinite(rate)) return 0.0;
      return savings.least_time(bytes, rate / 1e9, memory_, executing_);
    };
    const Amount all{all_.in + others.in, all_.back + others.back};
    return at_least(std::max({least(in_, all.in, rates.in), least(back_, all.back, rates.back),
                              least(together_, all.in + all.back, rates.together)}));
  }

 private:
  void add(JobId id) {
    const JobProgram& job = program_.jobs[index(id)];
    const auto count = static_cast<double>(minibatches_left(job));
    if (count == 0) return;
    until_.assign(1, 0);
    for (std::uint32_t u = 0; u < job.units.size(); ++u) {
      const auto least = static_cast<double>(times_.of(id, u).least.count());
      until_.push_back(until_.back() + least);
      executing_ += count * least * static_cast<double>(need(job, job.units[u]));
    }
    uses_.resize(std::max(uses_.size(), job.items.size()));  // Their memory is used again.
    for (auto& uses : uses_) uses.clear();
    for (std::uint32_t u = 0; u < job.units.size(); ++u) {
      for (const ItemIndex i : job.units[u].creates) uses_[i].push_back(u);
      for (const ItemIndex i : job.units[u].reads) uses_[i].push_back(u);
    }
    std::vector<bool> changed(job.items.size());
    for (const Unit& unit : job.units) {
      for (const ItemIndex i : unit.writes) changed[i] = true;
    }
    for (ItemIndex i = 0; i < job.items.size(); ++i) {
      const Item& item = job.items[i];
      const bool own = item.shared == Item::kNotShared;
      if (own && item.bytes > 0 && !uses_[i].empty()) add(item, uses_[i], changed[i], count);
    }
  }

  /// One that lasts is read by all of `uses`, one that does not is made by the first of them.
  void add(const Item& item, const std::vector<std::uint32_t>& uses, bool changed, double count) {
    const auto bytes = static_cast<double>(item.bytes);
    std::vector<double> stays;  ///< From each use to the next.
    for (std::size_t k = 1; k < uses.size(); ++k) {
      stays.push_back(until_[uses[k]] - until_[uses[k - 1] + 1]);
    }
    double from_minibatch_to_minibatch = 0;
    if (item.lasting) {
      from_minibatch_to_minibatch = until_.back() - until_[uses.back() + 1] + until_[uses.front()];
      all_.in += bytes * count;
    }
    all_.in += bytes * count * static_cast<double>(stays.size());
    double whole = from_minibatch_to_minibatch, longest = whole;
    for (const double stay : stays) {
      in_.add(bytes * count, stay);
      whole += stay;
      longest = std::max(longest, stay);
    }
    if (item.lasting) in_.add(bytes * (count - 1), from_minibatch_to_minibatch);
    // What is changed, or made and read later, goes back unless it stays all the time.
    const bool goes_back = item.lasting ? changed : !stays.empty();
    const double backs = goes_back ? count : 0;
    const double saved_backs = item.lasting ? std::max(0.0, backs - 1) : backs;
    all_.back += bytes * backs;
    back_.add(bytes * saved_backs, whole);
    // Together: the longest stay is said to save that too.
    bool doubled = saved_backs == 0;
    const auto both = [&](double times, double stay) {
      const bool doubles = !doubled && stay == longest;
      doubled = doubled || doubles;
      together_.add(bytes * times * (doubles ? 2 : 1), doubles ? stay / 2 : stay);
    };
    if (item.lasting) both(count - 1, from_minibatch_to_minibatch);
    for (const double stay : stays) both(count, stay);
  }

  const Program& program_;
  const double memory_;
  TimeRanges times_;
  std::vector<double> until_;                     ///< Of one job: ns before each unit.
  std::vector<std::vector<std::uint32_t>> uses_;  ///< Of one job, by item.
  Amount all_;                                    ///< If nothing were saved.
  double executing_ = 0;                          ///< Bytes x ns that units take while they run.
  Savings in_, back_, together_;
};

/// Then what one device has can come from another.
bool any_direct(const Cluster& cluster) {
  for (std::size_t a = 0; a < cluster.devices.size(); ++a) {
    for (std::size_t b = 0; b < cluster.devices.size(); ++b) {
      if (direct(cluster, device_id(a), device_id(b))) return true;
    }
  }
  return false;
}

}  // namespace

bool spills(const JobProgram& job) {
  return tracks_of(job).size() == 1 && !job.held && !job.resident &&
         std::ranges::all_of(job.units, [](const Unit& unit) { return unit.bound == kNoDevice; });
}

Duration reuse_bound(const Program& program, const Cluster& cluster, const Amount& others) {
  double memory = 0;
  for (const DeviceSpec& device : cluster.devices) {
    if (device.memory == kUnlimited) return {};
    memory += static_cast<double>(device.memory);
  }
  if (memory == 0 || any_direct(cluster)) return {};
  return Reuse(program, memory).time(others, rates_of_all(cluster));
}

}  // namespace shardlab
