#include <algorithm>
#include <mutex>
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
  const auto shared = [&] {  // A lost device may still come here while the job goes back.
    const std::lock_guard lock(versions_);
    return jobs_[index(run.job)]->reductions[static_cast<std::size_t>(unit.shard)];
  }();
  JobMemory::Reduction& reduction = *shared;
  std::unique_lock lock(reduction.mutex);
  reduction.changed.wait(lock, [&] { return reduction.lost || reduction.by == kNoDevice; });
  if (reduction.lost) throw Error("the device that added up gradients was lost");
  if (reduction.done > run.minibatch) return;
  reduction.by = run.device;
  lock.unlock();
  try {
    add_up(run, unit);
  } catch (...) {
    lock.lock();
    reduction.by = kNoDevice;
    reduction.changed.notify_all();
    throw;
  }
  lock.lock();
  reduction.by = kNoDevice;
  reduction.done = run.minibatch + 1;
  reduction.changed.notify_all();
}

/// In each replica's memory.
void Training::add_up(const UnitRun& run, const Unit& unit) {
  std::vector<at::Tensor> sums;
  const JobProgram& program = program_.jobs[index(run.job)];
  for (std::size_t i = 0; i < program.items.size(); ++i) {  // Replica by replica.
    const Item& item = program.items[i];
    if (item.kind != ItemKind::kWeightGradient || item.shard != unit.shard) continue;
    const std::lock_guard lock(versions_);
    for (const auto& memory : devices_) {  // Not where it was bound at first: that may be lost.
      const at::Tensor& there = memory->items[index(run.job)][i];
      if (!memory->lost && there.defined()) sums.push_back(there);
    }
  }
  const std::int64_t floats = sums.front().numel();
  for (std::int64_t from = 0; from < floats; from += kReducedAtOnce) {
    const auto piece = [&](const at::Tensor& all) {
      return all.narrow(0, from, std::min(kReducedAtOnce, floats - from));
    };
    at::Tensor total = devices_[index(run.device)]->device.empty(piece(sums.front()).numel());
    at::Tensor next = at::empty_like(total);
    total.copy_(piece(sums.front()));
    for (std::size_t r = 1; r < sums.size(); ++r) {
      next.copy_(piece(sums[r]));
      total.add_(next);
    }
    devices_[index(run.device)]->spoilt = true;
    for (const at::Tensor& sum : sums) piece(sum).copy_(total);
  }
  devices_[index(run.device)]->device.synchronize(TorchDevice::Queue::kCompute);
}

}  // namespace shardlab
