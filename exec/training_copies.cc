#include <mutex>

#include <ATen/ATen.h>

#include "exec/training.h"
#include "exec/training_memory.h"

/// How items move between host memory and devices.
namespace shardlab {
namespace {

/// Undefined when there is no room.
at::Tensor allocate(const TorchDevice& device, std::int64_t floats) {
  try {
    return device.empty(floats);
  } catch (const c10::OutOfMemoryError&) {
    return {};
  } catch (const NoMemoryLeft&) {
    return {};
  }
}

}  // namespace

/// From host memory's current version, on the thread's own queue.
void Training::promote(JobId id, ItemIndex i, DeviceMemory& memory) {
  const JobMemory& job = *jobs_[index(id)];
  at::Tensor& here = memory.items[index(id)][i];
  const at::Tensor host = [&] {
    const std::lock_guard lock(versions_);
    return job.host[i];
  }();
  if (!here.defined()) here = allocate(memory.device, host.numel());
  memory.found_no_room[index(id)][i] = here.defined() ? 0 : 1;
  if (!here.defined()) return;  // The unit that needs it says so.
  memory.device.copy(here, host);
  const ItemKind kind = program_.jobs[index(id)].items[i].kind;
  const bool boundary = kind == ItemKind::kActivation || kind == ItemKind::kGradient;
  if (boundary) here = here.view(view_activation(nullptr, job.job.model, job.sequences).sizes());
  memory.device.synchronize();
}

void Training::send(const Transfer& transfer) {
  DeviceMemory& memory = *devices_[index(transfer.device)];
  const DeviceMemory& source = *devices_[index(transfer.source)];
  at::Tensor& here = memory.items[index(transfer.job)][transfer.item];
  const at::Tensor& there = source.items[index(transfer.job)][transfer.item];
  here = allocate(memory.device, there.numel());
  if (!here.defined()) return;
  here = here.view(there.sizes());
  memory.device.copy(here, there);
  memory.device.synchronize();
}

void Training::demote(const Transfer& transfer) {
  DeviceMemory& memory = *devices_[index(transfer.device)];
  JobMemory& job = *jobs_[index(transfer.job)];
  const at::Tensor host = [&] {
    const std::lock_guard lock(versions_);
    return job.take_place(transfer.item);
  }();
  at::Tensor place = host;
  memory.device.copy(place, memory.items[index(transfer.job)][transfer.item]);
  memory.device.synchronize();
  const std::lock_guard lock(versions_);
  if (!memory.lost) job.publish(transfer.item, host);
}

void Training::copy(const Transfer& transfer) {
  DeviceMemory& memory = *devices_[index(transfer.device)];
  const AccountScope scope(memory.meter.account());
  switch (transfer.direction) {
    case Direction::kPromote:
      return promote(transfer.job, transfer.item, memory);
    case Direction::kDemote:
      return demote(transfer);
    case Direction::kPeer:
      return send(transfer);
  }
}

}  // namespace shardlab
