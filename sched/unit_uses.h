#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sched/program.h"

namespace shardlab {

/// What a unit does with one item.
struct ItemUse {
  std::uint32_t place = 0;  ///< Of the item among those of all jobs; see ItemPlaces.
  ItemIndex item = 0;       ///< Of its job.
  bool reads = false, writes = false, creates = false, consumes = false;
};

/// What a unit needs of its device.
struct UnitUses {
  Bytes workspace = 0;
  bool held = false;                  ///< Its job.
  bool writes = false;                ///< Some of it.
  std::span<const ItemUse> needed;    ///< What it reads, then what it creates.
  std::span<const ItemUse> consumed;  ///< But for what it also needs.
};

/// Where the state of each item stands: shared ones of several jobs at one place.
class ItemPlaces {
 public:
  explicit ItemPlaces(const Program& program);

  [[nodiscard]] std::uint32_t of(JobId job, ItemIndex item) const {
    const std::uint32_t own = first_[index(job)] + item;
    return places_.empty() ? own : places_[own];
  }
  [[nodiscard]] std::uint32_t count() const { return count_; }
  [[nodiscard]] bool shared() const { return !places_.empty(); }

 private:
  std::vector<std::uint32_t> first_;   ///< Per job.
  std::vector<std::uint32_t> places_;  ///< By job and item; empty: each its own.
  std::uint32_t count_ = 0;
};

/// The uses of all units, closer together than in the program: they are walked several times for
/// every unit that runs.
class UsesOfUnits {
 public:
  UsesOfUnits(const Program& program, const ItemPlaces& places);

  [[nodiscard]] UnitUses of(JobId job, std::uint32_t unit) const {
    const Row& row = rows_[first_[index(job)] + unit];
    const ItemUse* uses = uses_.data() + row.first;
    return {
        row.workspace, row.held, row.writes, {uses, row.needed}, {uses + row.needed, row.consumed}};
  }

 private:
  struct Row {
    Bytes workspace = 0;
    std::uint32_t first = 0;
    std::uint8_t needed = 0, consumed = 0;
    bool held = false, writes = false;
  };
  void add(JobId job, const Unit& unit, bool held, const ItemPlaces& places);

  std::vector<std::uint32_t> first_;  ///< Per job.
  std::vector<Row> rows_;
  std::vector<ItemUse> uses_;
};

}  // namespace shardlab
