#include "sched/unit_uses.h"

#include <algorithm>

namespace shardlab {

ItemPlaces::ItemPlaces(const Program& program) {
  std::vector<std::uint32_t> shared(static_cast<std::size_t>(program.shared_items), UINT32_MAX);
  for (const JobProgram& job : program.jobs) {
    first_.push_back(static_cast<std::uint32_t>(places_.size()));
    for (const Item& item : job.items) {
      std::uint32_t place = count_;
      if (item.shared != Item::kNotShared) {
        std::uint32_t& first = shared[static_cast<std::size_t>(item.shared)];
        place = first = std::min(first, place);
      }
      places_.push_back(place);
      if (place == count_) ++count_;
    }
  }
  if (shared.empty()) places_ = {};
}

UsesOfUnits::UsesOfUnits(const Program& program, const ItemPlaces& places) {
  for (std::size_t j = 0; j < program.jobs.size(); ++j) {
    first_.push_back(static_cast<std::uint32_t>(rows_.size()));
    const JobProgram& job = program.jobs[j];
    for (const Unit& unit : job.units) add(job_id(j), unit, job.held, places);
  }
}

void UsesOfUnits::add(JobId job, const Unit& unit, bool held, const ItemPlaces& places) {
  Row row;
  row.held = held;
  row.workspace = unit.workspace;
  row.first = static_cast<std::uint32_t>(uses_.size());
  const auto use = [&](ItemIndex i, bool reads, bool creates) {
    uses_.push_back({places.of(job, i), i, reads, reads && unit.writes.contains(i), creates,
                     unit.consumes.contains(i)});
  };
  for (const ItemIndex i : unit.reads) use(i, true, false);
  for (const ItemIndex i : unit.creates) use(i, false, true);
  row.writes = unit.writes.begin() != unit.writes.end();
  row.needed = static_cast<std::uint8_t>(uses_.size() - row.first);
  for (const ItemIndex i : unit.consumes) {
    if (unit.reads.contains(i) || unit.creates.contains(i)) continue;
    use(i, false, false);
    ++row.consumed;
  }
  rows_.push_back(row);
}

}  // namespace shardlab
