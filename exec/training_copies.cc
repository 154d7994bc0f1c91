#include <exception>
#include <mutex>
#include <string>
#include <utility>

#include <ATen/ATen.h>

#include "core/error.h"
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

/// Fills the item's place with what lies elsewhere, on the thread's own queue. Where there is no
/// room, notes where that is: the unit that needs it asks again, as a held job's are not evicted.
void Training::receive(JobId id, ItemIndex i, const at::Tensor& from, DeviceMemory& memory) {
  at::Tensor& here = memory.items[index(id)][i];
  if (!here.defined()) here = allocate(memory.device, from.numel());
  memory.elsewhere[index(id)][i] = here.defined() ? at::Tensor{} : from;
  if (!here.defined()) return;
  const JobMemory& job = *jobs_[index(id)];
  const ItemKind kind = program_.jobs[index(id)].items[i].kind;
  const bool boundary = kind == ItemKind::kActivation || kind == ItemKind::kGradient;
  here = here.view(boundary ? view_activation(nullptr, job.job.model, job.sequences).sizes()
                            : from.sizes());
  memory.device.copy(here, from.view(here.sizes()));
  memory.device.synchronize();
}

void Training::promote(const Transfer& transfer) {
  const JobMemory& job = *jobs_[index(transfer.job)];
  const at::Tensor host = [&] {
    const std::lock_guard lock(versions_);
    return job.host[transfer.item];
  }();
  receive(transfer.job, transfer.item, host, *devices_[index(transfer.device)]);
}

/// The copy is in both devices' queues, and what either of them had queued may have failed. The
/// sender is asked first: what it did not send never came.
void Training::send(const Transfer& transfer) {
  DeviceMemory& from = *devices_[index(transfer.source)];
  DeviceMemory& to = *devices_[index(transfer.device)];
  const auto item = [&](DeviceMemory& memory) -> at::Tensor& {
    return memory.items[index(transfer.job)][transfer.item];
  };
  item(to).reset();
  const at::Tensor there = item(from);  // Which the source forgets once this is done.
  std::string failure;
  try {
    receive(transfer.job, transfer.item, there, to);
  } catch (const std::exception& error) {
    failure = error.what();
  }
  try {
    from.device.synchronize();
  } catch (const Error& error) {
    throw DeviceFailure(error.what(), transfer.source);
  }
  if (!failure.empty()) throw DeviceFailure(failure, transfer.device);
}

/// Into a place of the item's in host memory that nobody reads yet, by the thread's own queue.
at::Tensor Training::copy_home(JobId id, ItemIndex i, const at::Tensor& from,
                               const DeviceMemory& memory) {
  at::Tensor place = [&] {
    const std::lock_guard lock(versions_);
    return jobs_[index(id)]->take_place(i);
  }();
  memory.device.copy(place, from);
  memory.device.synchronize();
  return place;
}

void Training::demote(const Transfer& transfer) {
  DeviceMemory& memory = *devices_[index(transfer.device)];
  JobMemory& job = *jobs_[index(transfer.job)];
  const at::Tensor host = copy_home(transfer.job, transfer.item,
                                    memory.items[index(transfer.job)][transfer.item], memory);
  const std::lock_guard lock(versions_);
  if (memory.lost) return;
  if (transfer.steps) {
    job.gradients[transfer.item] = host;
    job.gradient_steps[transfer.item] = memory.step_of[index(transfer.job)][transfer.item];
  } else {
    job.publish(transfer.item, host);
  }
}

/// In place, as nobody reads what it changes: a unit that wants the parameters waits for the new
/// ones, and a job is kept or goes back only when nothing of it is under way. Where the device is
/// lost meanwhile the job goes back to other arrays.
void Training::step(const Transfer& transfer) {
  JobMemory& job = *jobs_[index(transfer.job)];
  const ItemIndex state_item = job.state_item(transfer.item);
  at::Tensor gradient, parameters, state;
  std::int64_t step = 0;
  {
    const std::lock_guard lock(versions_);
    if (devices_[index(transfer.device)]->lost) return;
    gradient = std::exchange(job.gradients[transfer.item], {});
    step = job.gradient_steps[transfer.item];
    parameters = job.host[transfer.item];
    state = job.host[state_item];
  }
  const auto shard_number = static_cast<std::size_t>(job.program.items[transfer.item].shard);
  const ShardPass& shard = job.shards[shard_number];
  shard.step_on_host(job.job.optimizer, step, shard.view_gradients(gradient),
                     parameters.data_ptr<float>(), state.data_ptr<float>(),
                     devices_[index(transfer.device)]->device.host_threads());
  const std::lock_guard lock(versions_);
  if (!job.next[transfer.item].defined()) job.next[transfer.item] = std::move(gradient);
}

void Training::copy(const Transfer& transfer) {
  DeviceMemory& memory = *devices_[index(transfer.device)];
  const AccountScope scope(memory.meter.account());
  switch (transfer.direction) {
    case Direction::kPromote:
      return promote(transfer);
    case Direction::kDemote:
      return demote(transfer);
    case Direction::kPeer:
      return send(transfer);
  }
}

}  // namespace shardlab
