#include "exec/training.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <span>
#include <string>
#include <utility>

#include <ATen/ATen.h>
#include <xxhash.h>

#include "core/error.h"
#include "exec/training_memory.h"
#include "models/validate.h"

namespace shardlab {

/// One shard's tokens and targets of a minibatch.
struct Minibatch {
  at::Tensor tokens, targets;
};

namespace {

PassKey key(const Job& job, const UnitRun& run) { return {job.seed, run.minibatch, 0}; }

/// Undefined when there is no room.
at::Tensor allocate(const TorchDevice& device, std::int64_t floats) {
  try {
    return device.empty(floats);
  } catch (const c10::OutOfMemoryError&) {
    return {};
  }
}

Minibatch make_minibatch(const Job& job, const TextData& data, std::int64_t step) {
  const auto longs = at::TensorOptions().dtype(at::kLong);
  Minibatch made{at::empty({job.batch, inputs_per_sequence(job.model)}, longs),
                 at::empty({job.batch, targets_per_sequence(job.model)}, longs)};
  const auto span = [](at::Tensor& ids) {
    return std::span(ids.data_ptr<std::int64_t>(), static_cast<std::size_t>(ids.numel()));
  };
  data.batch(job.model, job.batch, job.seed, step, span(made.tokens), span(made.targets));
  return made;
}

}  // namespace

Training::Training(const Workload& workload, const Cluster& cluster, const Program& program,
                   const std::vector<std::vector<int>>& first_layers,
                   const std::vector<const Checkpoint*>& resume, Save save)
    : workload_(workload), cluster_(cluster), program_(program), save_(std::move(save)) {
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
      jobs_.push_back(
          std::make_unique<JobMemory>(job, program.jobs[j], first_layers.at(j), text, copier,
                                      resume.empty() ? nullptr : resume.at(j)));
    });
  }
}

Training::~Training() = default;

void Training::prepare(DeviceId device, Engine engine) {
  constexpr std::array kQueues{TorchDevice::Queue::kCompute, TorchDevice::Queue::kPromote,
                               TorchDevice::Queue::kDemote};
  const TorchDevice& torch = devices_[index(device)]->device;
  torch.enter(kQueues[static_cast<std::size_t>(engine)]);
  if (engine == Engine::kCompute) torch.warm_up();
}

/// Lanes may share an accelerator: none counts what another's libraries took.
void Training::begin() {
  for (const auto& device : devices_) device->meter.restart();
}

Work::Pass Training::run(const UnitRun& run) {
  const Unit& unit = program_.jobs[index(run.job)].units[run.unit];
  DeviceMemory& memory = *devices_[index(run.device)];
  const AccountScope scope(memory.meter.account());
  Pass pass;
  try {
    if (unit.kind == UnitKind::kForward) {
      forward(run, unit);
    } else {
      pass = backward(run, unit);
    }
  } catch (...) {
    leave_nothing(run, unit);
    throw;
  }
  memory.device.synchronize(TorchDevice::Queue::kCompute);
  return pass;
}

/// After a unit that failed: what it reads may be dropped once nothing of it runs any more, and
/// what it was to create is not there.
void Training::leave_nothing(const UnitRun& run, const Unit& unit) {
  DeviceMemory& memory = *devices_[index(run.device)];
  try {
    memory.device.synchronize(TorchDevice::Queue::kCompute);
  } catch (const Error&) {  // The failure that is under way came first.
  }
  for (const ItemIndex item : unit.creates) drop(run.job, item, run.device);
}

Minibatch Training::minibatch(const UnitRun& run) const {
  const JobMemory& job = *jobs_[index(run.job)];
  const TorchDevice& device = devices_[index(run.device)]->device;
  const Minibatch made = make_minibatch(job.job, *job.data, run.minibatch);
  return {device.move_in(made.tokens), device.move_in(made.targets)};
}

const at::Tensor& Training::present(DeviceId device, JobId job, ItemKind kind, int shard) {
  const at::Tensor& there = item(device, job, kind, shard);
  if (there.defined()) return there;
  throw Error(cluster_.devices[index(device)].name + ": out of memory: no room for the " +
              to_string(kind) + " of shard " + std::to_string(shard) +
              "; give the device a smaller budget than it has memory");
}

at::Tensor& Training::item(DeviceId device, JobId job, ItemKind kind, int shard) {
  const int shards = static_cast<int>(jobs_[index(job)]->shards.size());
  return devices_[index(device)]->items[index(job)][item_index(kind, shard, shards)];
}

std::vector<Recording>& Training::graphs_of(const UnitRun& run, const Unit& unit) {
  return devices_[index(run.device)]
      ->graphs[index(run.job)][static_cast<std::size_t>(unit.shard)];
}

void Training::forward(const UnitRun& run, const Unit& unit) {
  JobMemory& job = *jobs_[index(run.job)];
  const ShardPass& shard = job.shards[static_cast<std::size_t>(unit.shard)];
  at::Tensor& output = item(run.device, run.job, ItemKind::kActivation, unit.shard);
  const bool keeps = unit.creates.contains(
      item_index(ItemKind::kGraph, unit.shard, static_cast<int>(job.shards.size())));
  if (keeps) {
    Recording recording = record(run, unit);
    output = recording.output.front().detach();
    graphs_of(run, unit).assign(1, std::move(recording));
    return;
  }
  const at::Tensor input =
      shard.takes_tokens() ? minibatch(run).tokens
                           : present(run.device, run.job, ItemKind::kActivation, unit.shard - 1);
  const float* parameters =
      present(run.device, run.job, ItemKind::kParameters, unit.shard).data_ptr<float>();
  output = shard.forward(parameters, input, key(job.job, run));
}

/// The shard's forward, with its graph.
Recording Training::record(const UnitRun& run, const Unit& unit) {
  JobMemory& job = *jobs_[index(run.job)];
  const ShardPass& shard = job.shards[static_cast<std::size_t>(unit.shard)];
  const float* parameters =
      present(run.device, run.job, ItemKind::kParameters, unit.shard).data_ptr<float>();
  Minibatch data;
  if (shard.takes_tokens() || shard.makes_loss()) {
    data = minibatch(run);
  }
  const at::Tensor input =
      shard.takes_tokens() ? data.tokens
                           : present(run.device, run.job, ItemKind::kActivation, unit.shard - 1);
  return shard.makes_loss() ? shard.record(parameters, input, data.targets, key(job.job, run))
                            : shard.record(parameters, input, key(job.job, run));
}

Work::Pass Training::backward(const UnitRun& run, const Unit& unit) {
  JobMemory& job = *jobs_[index(run.job)];
  const auto s = static_cast<std::size_t>(unit.shard);
  const bool fused = unit.kind == UnitKind::kFused;
  Stopwatch watch(devices_[index(run.device)]->device);
  std::vector<Recording> recording = std::exchange(graphs_of(run, unit), {});
  Pass pass;
  bool recomputed = false;
  if (recording.empty()) {
    recording.push_back(record(run, unit));
    watch.mark();
    recomputed = !fused;
  }
  const Gradients gradients =
      fused ? job.shards[s].backward(std::move(recording.front()))
            : job.shards[s].backward(std::move(recording.front()),
                                     present(run.device, run.job, ItemKind::kGradient, unit.shard));
  if (fused) {
    pass.has_loss = true;
    pass.loss = gradients.loss;
    if (!std::isfinite(pass.loss)) {
      throw Error("the loss is " +
                  std::string(std::isnan(pass.loss) ? "not a number" : "infinite") +
                  "; try a lower learning rate");
    }
  }
  if (unit.shard > 0) {
    item(run.device, run.job, ItemKind::kGradient, unit.shard - 1) =
        gradients.input.front().contiguous();
  }
  job.shards[s].step(
      job.job.optimizer, run.minibatch + 1, gradients,
      present(run.device, run.job, ItemKind::kParameters, unit.shard).data_ptr<float>(),
      present(run.device, run.job, ItemKind::kState, unit.shard).data_ptr<float>());
  if (recomputed) pass.recompute = watch.laps().front();
  return pass;
}

void Training::copy(const Transfer& transfer) {
  DeviceMemory& memory = *devices_[index(transfer.device)];
  const AccountScope scope(memory.meter.account());
  JobMemory& job = *jobs_[index(transfer.job)];
  const Item& item = program_.jobs[index(transfer.job)].items[transfer.item];
  at::Tensor& here = memory.items[index(transfer.job)][transfer.item];
  const bool promotes = transfer.direction == Direction::kPromote;
  const at::Tensor host = [&] {
    const std::lock_guard lock(versions_);
    return promotes ? job.host[transfer.item] : job.take_place(transfer.item);
  }();
  if (promotes) {
    const bool boundary = item.kind == ItemKind::kActivation || item.kind == ItemKind::kGradient;
    if (!here.defined()) here = allocate(memory.device, host.numel());
    if (!here.defined()) return;  // The unit that needs it says so, and stops its job alone.
    memory.device.copy(here, host);
    if (boundary) here = here.view(view_activation(nullptr, job.job.model, job.job.batch).sizes());
  } else {
    at::Tensor place = host;
    memory.device.copy(place, here);
  }
  memory.device.synchronize();
  if (promotes) return;
  const std::lock_guard lock(versions_);
  job.publish(transfer.item, host);
}

void Training::drop(JobId job, ItemIndex i, DeviceId from) {
  if (from == kNoDevice) return;  // Host buffers are kept for the next minibatch.
  const Item& item = program_.jobs[index(job)].items[i];
  if (item.kind == ItemKind::kGraph) {
    devices_[index(from)]->graphs[index(job)][static_cast<std::size_t>(item.shard)].clear();
  }
  devices_[index(from)]->items[index(job)][i].reset();
}

void Training::keep(JobId job, std::int64_t minibatches) { jobs_[index(job)]->keep(minibatches); }

void Training::save(JobId job) {
  if (save_) save_(job, jobs_[index(job)]->kept_state());
}

void Training::save_completed(JobId job) {
  if (save_) save_(job, jobs_[index(job)]->current_state());
}

Bytes Training::peak(DeviceId device) const { return devices_[index(device)]->meter.peak(); }

TrainedJob Training::result(JobId id, bool with_parameters) const {
  const JobMemory& job = *jobs_[index(id)];
  TrainedJob result;
  XXH64_state_t* hash = XXH64_createState();
  XXH64_reset(hash, 0);
  const auto& items = program_.jobs[index(id)].items;
  for (std::size_t i = 0; i < items.size(); ++i) {  // All parameters, then all state.
    if (!items[i].lasting) continue;
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
