#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "core/large_array.h"
#include "core/timeline.h"
#include "sched/backend.h"

namespace shardlab {

/// How long things really take in a simulation. The Driver and the policy never see it.
class Costs {
 public:
  virtual ~Costs() = default;
  virtual UnitCost unit(const UnitRun& run) = 0;
  /// By the compute lane, where a device has no copy engine.
  virtual Duration lane_copy(const Transfer& transfer) = 0;
  /// By a copy engine; `by_link` is what its link takes.
  virtual Duration engine_copy(const Transfer& transfer, Duration by_link) = 0;
  /// Of a gradient that has come home: the optimizer's step there.
  virtual Duration host_step(const Transfer& transfer) = 0;
  /// engine_copy() is always `by_link`, and need not be asked.
  [[nodiscard]] virtual bool engines_keep_pace() const { return false; }
  /// What no processor of a device does differs from the estimate too: links that are paced beside
  /// a compute lane that copies (then engine_copy() is asked of them as well), the disk, dispatch.
  [[nodiscard]] virtual bool all_vary() const { return false; }
  /// Only where all_vary(). Before a unit begins.
  virtual Duration dispatch(const UnitRun&, Duration estimate) { return estimate; }
  /// Likewise. By the disk below the host's memory; `place`: of the item there.
  virtual Duration disk_copy(std::size_t /*place*/, Direction, Duration estimate) {
    return estimate;
  }
};

/// The profile's estimates.
class EstimatedCosts final : public Costs {
 public:
  explicit EstimatedCosts(const Program& program);
  UnitCost unit(const UnitRun& run) override {
    const std::size_t which = begin(run.device) + first_[index(run.job)] + run.unit;
    return (run.loaded ? loaded_ : alone_)[which];
  }
  Duration lane_copy(const Transfer& transfer) override;
  Duration engine_copy(const Transfer&, Duration by_link) override { return by_link; }
  Duration host_step(const Transfer& transfer) override {
    return shardlab::host_step(program_.jobs[index(transfer.job)], transfer.item);
  }
  [[nodiscard]] bool engines_keep_pace() const override { return true; }

 private:
  [[nodiscard]] std::size_t begin(DeviceId device) const {
    return class_begin_.empty() ? 0 : class_begin_[index(device)];
  }

  const Program& program_;
  void add(const UnitTimes& times);

  /// Of all units, class by class: closer together than in the program.
  LargeArray<UnitCost> alone_, loaded_;
  std::vector<std::size_t> class_begin_;  ///< Per device; empty: all are of class 0.
  std::vector<std::uint32_t> first_;      ///< Per job, within its class.
};

/// What every unit and copy took in a timeline; a copy that it does not have takes the estimate.
class MeasuredCosts final : public Costs {
 public:
  enum class Detail : std::uint8_t {
    kEach,    ///< Every unit and copy what it took itself.
    kMedian,  ///< The median over the minibatches: what a perfect profile would have said.
  };
  MeasuredCosts(const Timeline& timeline, const Program& program, Detail detail);
  UnitCost unit(const UnitRun& run) override;
  Duration lane_copy(const Transfer& transfer) override;
  Duration engine_copy(const Transfer& transfer, Duration by_link) override;
  Duration host_step(const Transfer& transfer) override;

 private:
  void take_medians();

  struct Key {
    JobId job{};
    std::uint32_t unit = 0;  ///< Or item.
    std::int64_t which = 0;  ///< Minibatch, or direction.
    bool operator==(const Key&) const = default;
    struct Hash {
      std::size_t operator()(const Key& key) const;
    };
  };

  EstimatedCosts estimate_;
  Detail detail_;
  std::unordered_map<Key, UnitCost, Key::Hash> units_;
  /// Of one item in one direction, in the order in which they ended: an item may move more than
  /// once in a minibatch.
  struct Copies {
    std::vector<Duration> by_lane, by_link;
    std::size_t next = 0;
    std::vector<Duration> steps;
    std::size_t next_step = 0;
  };
  /// The one that is next; null when none was measured.
  [[nodiscard]] const Duration* next(const Transfer& transfer,
                                     std::vector<Duration> Copies::*times);

  std::unordered_map<Key, Copies, Key::Hash> copies_;
};

}  // namespace shardlab
