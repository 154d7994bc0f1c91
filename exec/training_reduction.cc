#include <algorithm>
#include <mutex>
#include <optional>
#include <vector>

#include <ATen/ATen.h>

#include "core/error.h"
#include "exec/training.h"
#include "exec/training_memory.h"

/// How replicas add up their gradients.
namespace shardlab {
namespace {

constexpr std::int64_t kReducedAtOnce =
    kReductionChunk / static_cast<Bytes>(sizeof(float));  ///< Floats.

}  // namespace

/// All replicas' last backwards are done, and no step before its own reduction. So whoever comes
/// first adds up for all, in the order of the replicas, and the others wait for that.
void Training::reduce(const UnitRun& run, const Unit& unit) {
  if (jobs_[index(run.job)]->gathers()) return hand_in(run, unit);
  const auto shared = [&] {  // A lost device may still come here while the job goes back.
    const std::lock_guard lock(versions_);
    return jobs_[index(run.job)]->reductions[static_cast<std::size_t>(unit.shard)];
  }();
  JobMemory::Reduction& reduction = *shared;
  DeviceMemory& memory = *devices_[index(run.device)];
  std::unique_lock lock(reduction.mutex);
  reduction.changed.wait(lock, [&] {
    awaits_[index(run.device)] = reduction.lost ? kNoDevice : reduction.by;
    return reduction.lost || reduction.by == kNoDevice;
  });
  if (reduction.lost) throw Error("the device that added up gradients was lost");
  if (reduction.done > run.minibatch) return;
  {
    const std::lock_guard versions(versions_);  // After lose() nobody would tell those who wait.
    if (memory.lost) throw Error("the device is lost");
    reduction.by = run.device;
  }
  lock.unlock();
  const auto end = [&](std::int64_t done) {
    lock.lock();
    reduction.by = kNoDevice;
    reduction.done = done;
    reduction.changed.notify_all();
  };
  try {
    add_up(run, unit);
  } catch (...) {
    // Of a device that failed lose() tells the others: until then they wait, and none reads there.
    finish(memory);
    if (const auto failed = find_failed(run, unit)) {
      const std::scoped_lock locks(reduction.mutex, versions_);
      reduction.by = failed->device;
      reduction.lost |= devices_[index(failed->device)]->lost;
      reduction.changed.notify_all();
      throw DeviceFailure(*failed);
    }
    end(reduction.done);
    throw;
  }
  end(run.minibatch + 1);
}

/// Of the other devices where a sum of the shard lies: one that does not work.
std::optional<DeviceFailure> Training::find_failed(const UnitRun& run, const Unit& unit) {
  for (std::size_t d = 0; d < devices_.size(); ++d) {
    if (device_id(d) == run.device || !holds_sum(d, run, unit)) continue;
    try {
      finish(*devices_[d], device_id(d));
    } catch (const DeviceFailure& failure) {
      return failure;
    }
  }
  return std::nullopt;
}

bool Training::holds_sum(std::size_t device, const UnitRun& run, const Unit& unit) {
  const auto& items = program_.jobs[index(run.job)].items;
  const std::lock_guard lock(versions_);
  const DeviceMemory& memory = *devices_[device];
  for (ItemIndex i = 0; i < items.size() && !memory.lost; ++i) {
    const bool sum = items[i].kind == ItemKind::kWeightGradient && items[i].shard == unit.shard;
    if (sum && memory.items[index(run.job)][i].defined()) return true;
  }
  return false;
}

/// Of a job that gathers: to the host memory of the replica's own sum, unless it steps itself.
void Training::hand_in(const UnitRun& run, const Unit& unit) {
  const ItemIndex i = *unit.writes.begin();
  if (!unit.consumes.contains(i)) return;
  const at::Tensor& sum = present(run, unit, ItemKind::kWeightGradient, unit.shard);
  const DeviceMemory& memory = *devices_[index(run.device)];
  at::Tensor place = copy_home(run.job, i, sum, memory);
  const std::lock_guard lock(versions_);
  if (!memory.lost) jobs_[index(run.job)]->publish(i, std::move(place));
}

/// Weight gradients of a shard, replica by replica: each where `where` finds it.
template <typename Where>
std::vector<at::Tensor> Training::sums_of_replicas(const UnitRun& run, const Unit& unit,
                                                   const Where& where) {
  std::vector<at::Tensor> sums;
  const JobProgram& program = program_.jobs[index(run.job)];
  for (ItemIndex i = 0; i < program.items.size(); ++i) {
    const Item& item = program.items[i];
    if (item.kind != ItemKind::kWeightGradient || item.shard != unit.shard) continue;
    const std::lock_guard lock(versions_);
    where(i, sums);
  }
  return sums;
}

/// In each replica's memory.
void Training::add_up(const UnitRun& run, const Unit& unit) {
  const auto sums = sums_of_replicas(run, unit, [&](ItemIndex i, std::vector<at::Tensor>& found) {
    for (const auto& memory : devices_) {  // Not where it was bound at first: that may be lost.
      const at::Tensor& there = memory->items[index(run.job)][i];
      if (!memory->lost && there.defined()) found.push_back(there);
    }
  });
  add_up(*devices_[index(run.device)], sums, sums);
}

/// Of a job that gathers, in the memory of the replica that steps.
void Training::add_up_handed_in(const UnitRun& run, const Unit& unit, const at::Tensor& mine) {
  const auto sums = sums_of_replicas(run, unit, [&](ItemIndex i, std::vector<at::Tensor>& found) {
    const bool own = program_.jobs[index(run.job)].items[i].replica == unit.replica;
    found.push_back(own ? mine : jobs_[index(run.job)]->host[i]);
  });
  add_up(*devices_[index(run.device)], sums, {mine});
}

/// Piece by piece, so that little memory is needed.
void Training::add_up(DeviceMemory& memory, const std::vector<at::Tensor>& sums,
                      const std::vector<at::Tensor>& into) {
  const std::int64_t floats = sums.front().numel();
  for (std::int64_t from = 0; from < floats; from += kReducedAtOnce) {
    const auto piece = [&](const at::Tensor& all) {
      return all.narrow(0, from, std::min(kReducedAtOnce, floats - from));
    };
    at::Tensor total = memory.device.empty(piece(sums.front()).numel());
    at::Tensor next = at::empty_like(total);
    total.copy_(piece(sums.front()));
    for (std::size_t r = 1; r < sums.size(); ++r) {
      next.copy_(piece(sums[r]));
      total.add_(next);
    }
    memory.spoilt = true;
    for (const at::Tensor& sum : into) piece(sum).copy_(total);
  }
  memory.device.synchronize(TorchDevice::Queue::kCompute);
}

}  // namespace shardlab
