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

void Training::copy(const Transfer& transfer) {
  DeviceMemory& memory = *devices_[index(transfer.device)];
  const AccountScope scope(memory.meter.account());
  JobMemory& job = *jobs_[index(transfer.job)];
  const Item& item = program_.jobs[index(transfer.job)].items[transfer.item];
  at::Tensor& here = memory.items[index(transfer.job)][transfer.item];
  const bool promotes = transfer.direction == Direction::kPromote;
  const bool demotes = transfer.direction == Direction::kDemote;
  const at::Tensor host = [&]() -> at::Tensor {
    const std::lock_guard lock(versions_);
    if (promotes) return job.host[transfer.item];
    return demotes ? job.take_place(transfer.item) : at::Tensor{};
  }();
  if (transfer.direction == Direction::kPeer) {
    const at::Tensor& there =
        devices_[index(transfer.source)]->items[index(transfer.job)][transfer.item];
    here = allocate(memory.device, there.numel());
    if (!here.defined()) return;
    here = here.view(there.sizes());
    memory.device.copy(here, there);
  } else if (promotes) {
    const bool boundary = item.kind == ItemKind::kActivation || item.kind == ItemKind::kGradient;
    if (!here.defined()) here = allocate(memory.device, host.numel());
    if (!here.defined()) return;  // The unit that needs it says so, and stops its job alone.
    memory.device.copy(here, host);
    if (boundary) here = here.view(view_activation(nullptr, job.job.model, job.sequences).sizes());
  } else {
    at::Tensor place = host;
    memory.device.copy(place, here);
  }
  memory.device.synchronize();
  if (!demotes) return;
  const std::lock_guard lock(versions_);
  if (!memory.lost) job.publish(transfer.item, host);
}

}  // namespace shardlab
