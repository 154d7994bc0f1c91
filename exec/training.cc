#include "exec/training.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <xxhash.h>

#include "core/error.h"
#include "exec/training_memory.h"

namespace shardlab {

Training::Training(const Workload& workload, const Cluster& cluster, const Program& program,
                   const std::vector<std::vector<int>>& first_layers,
                   const std::vector<const Checkpoint*>& resume, Save save)
    : workload_(workload),
      cluster_(cluster),
      program_(program),
      save_(std::move(save)),
      awaits_(cluster.devices.size()) {
  for (auto& awaits : awaits_) awaits = kNoDevice;
  for (const DeviceSpec& device : cluster.devices) {
    devices_.push_back(std::make_unique<DeviceMemory>(device, program));
  }
  const auto accelerator =
      std::ranges::find_if(devices_, [](const auto& memory) { return !memory->device.is_cpu(); });
  const TorchDevice& copier =
      (accelerator == devices_.end() ? devices_.front() : *accelerator)->device;
  std::map<std::string, std::shared_ptr<const TextData>> texts;
  for (std::size_t j = 0; j < workload.jobs.size(); ++j) {
    const Job& job = workload.jobs[j];
    in_context(job.name, [&] {
      auto& text = texts[job.data];
      if (!text) text = std::make_shared<const TextData>(TextData::load(job.data));
      jobs_.push_back(std::make_unique<JobMemory>(job, program.jobs[j], first_layers.at(j), text,
                                                  copier, resume.empty() ? nullptr : resume.at(j)));
    });
  }
}

Training::~Training() = default;

void Training::prepare(DeviceId device, Engine engine) {
  constexpr std::array kQueues{TorchDevice::Queue::kCompute, TorchDevice::Queue::kPromote,
                               TorchDevice::Queue::kDemote, TorchDevice::Queue::kDemote};
  const TorchDevice& torch = devices_[index(device)]->device;
  torch.enter(kQueues[static_cast<std::size_t>(engine)]);
  if (engine != Engine::kCompute) return;
  try {
    torch.warm_up();
  } catch (const c10::Error& failure) {
    throw DeviceFailure(failure.what_without_backtrace());
  } catch (const Error& failure) {
    throw DeviceFailure(failure.what());
  }
}

/// Lanes may share an accelerator: none counts what another's libraries took.
void Training::begin() {
  for (const auto& device : devices_) device->meter.restart();
}

Work::Pass Training::run(const UnitRun& run) {
  const Unit& unit = program_.jobs[index(run.job)].units[run.unit];
  DeviceMemory& memory = *devices_[index(run.device)];
  const AccountScope scope(memory.meter.account());
  memory.spoilt = false;
  // Those of the minibatch before, whose place the next claim kept.
  for (const ItemIndex i : unit.creates) memory.items[index(run.job)][i].reset();
  Pass pass;
  try {
    pass = compute(run, unit);
  } catch (...) {
    explain(run, unit);
  }
  finish(memory);
  return pass;
}

/// Waits for what the device computes; of another's, `of` says whose failure it is.
void Training::finish(const DeviceMemory& memory, DeviceId of) {
  try {
    memory.device.synchronize(TorchDevice::Queue::kCompute);
  } catch (const Error& failure) {
    throw DeviceFailure(failure.what(), of);
  }
}

Work::Pass Training::compute(const UnitRun& run, const Unit& unit) {
  switch (unit.kind) {
    case UnitKind::kForward:
      forward(run, unit);
      return {};
    case UnitKind::kReduce:
      reduce(run, unit);
      return {};
    case UnitKind::kStep:
      step_on_sums(run, unit);
      return {};
    case UnitKind::kFused:
    case UnitKind::kBackward:
      break;
  }
  return backward(run, unit);
}

/// Of a failure that is under way: whether it is the device's, memory's or the job's.
void Training::explain(const UnitRun& run, const Unit& unit) {
  const DeviceMemory& memory = *devices_[index(run.device)];
  const bool device_works = leave_nothing(run, unit);
  try {
    throw;
  } catch (const OutOfMemory& failure) {
    throw OutOfMemory(failure.what(), memory.spoilt);
  } catch (const c10::OutOfMemoryError& failure) {
    throw OutOfMemory(failure.what_without_backtrace(), memory.spoilt);
  } catch (const NoMemoryLeft& failure) {
    throw OutOfMemory(failure.what(), memory.spoilt);
  } catch (const std::exception& failure) {
    if (device_works) throw;
    throw DeviceFailure(failure.what());
  }
}

/// After a unit that failed: what it reads may be dropped once nothing of it runs any more, and
/// what it was to create is not there. Returns whether the device still works.
bool Training::leave_nothing(const UnitRun& run, const Unit& unit) {
  DeviceMemory& memory = *devices_[index(run.device)];
  bool works = true;
  try {
    memory.device.synchronize(TorchDevice::Queue::kCompute);
  } catch (const Error&) {
    works = false;
  }
  for (const ItemIndex item : unit.creates) drop(run.job, item, run.device);
  return works;
}

void Training::drop(JobId job, ItemIndex i, DeviceId from) {
  if (from == kNoDevice) return;  // Host buffers are kept for the next minibatch.
  const Item& item = program_.jobs[index(job)].items[i];
  if (item.kind == ItemKind::kGraph) devices_[index(from)]->graphs[index(job)][i].clear();
  devices_[index(from)]->items[index(job)][i].reset();
  devices_[index(from)]->elsewhere[index(job)][i].reset();
}

void Training::keep(JobId job, std::int64_t minibatches) {
  try {
    jobs_[index(job)]->keep(minibatches);
  } catch (const c10::Error& failure) {
    throw Error(failure.what_without_backtrace());
  }
}

void Training::restore(JobId job) { jobs_[index(job)]->restore(versions_); }

DeviceId Training::awaited(DeviceId device) const { return awaits_[index(device)]; }

void Training::lose(DeviceId device) {
  std::vector<std::shared_ptr<JobMemory::Reduction>> reductions;
  {
    const std::lock_guard lock(versions_);
    devices_[index(device)]->lost = true;
    for (const auto& job : jobs_) {
      reductions.insert(reductions.end(), job->reductions.begin(), job->reductions.end());
    }
  }
  for (const auto& reduction : reductions) {
    const std::lock_guard lock(reduction->mutex);
    if (reduction->by != device) continue;
    reduction->lost = true;
    reduction->changed.notify_all();
  }
}

void Training::save(JobId job) {
  const JobMemory& memory = *jobs_[index(job)];
  if (!save_) return;
  save_(job, memory.kept_minibatches, false, [&] { return memory.kept_state(); });
}

void Training::save_settled(JobId job, std::int64_t minibatches) {
  const JobMemory& memory = *jobs_[index(job)];
  if (save_) save_(job, minibatches, true, [&] { return memory.current_state(minibatches); });
}

Bytes Training::peak(DeviceId device) const { return devices_[index(device)]->meter.peak(); }

TrainedJob Training::result(JobId id, bool with_parameters) const {
  const JobMemory& job = *jobs_[index(id)];
  TrainedJob result;
  XXH64_state_t* hash = XXH64_createState();
  XXH64_reset(hash, 0);
  const auto& items = program_.jobs[index(id)].items;
  for (std::size_t i = 0; i < items.size(); ++i) {            // All parameters, then all state.
    if (!items[i].lasting || items[i].replica > 0) continue;  // Replicas are alike.
    const float* values = job.host[i].const_data_ptr<float>();
    XXH64_update(hash, values, job.host[i].nbytes());
    if (!with_parameters || items[i].kind != ItemKind::kParameters) continue;
    result.parameters.insert(result.parameters.end(), values, values + job.host[i].numel());
  }
  result.weights_hash = XXH64_digest(hash);
  XXH64_freeState(hash);
  return result;
}

}  // namespace shardlab
