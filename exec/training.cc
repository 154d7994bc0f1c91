#include "exec/training.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <utility>

#include <ATen/ATen.h>
#include <xxhash.h>

#include "core/error.h"
#include "exec/training_memory.h"
#include "models/validate.h"

namespace shardlab {

/// One shard's tokens and targets of a microbatch.
struct Minibatch {
  at::Tensor tokens, targets;
};

namespace {

constexpr std::int64_t kReducedAtOnce =
    kReductionChunk / static_cast<Bytes>(sizeof(float));  ///< Floats.

/// Which item of this kind and shard the unit reads or creates; kNone: neither.
constexpr ItemIndex kNone = UINT32_MAX;
ItemIndex find(const JobProgram& program, const Unit& unit, ItemKind kind, int shard) {
  for (const ItemList* list : {&unit.reads, &unit.creates}) {
    for (const ItemIndex i : *list) {
      if (program.items[i].kind == kind && program.items[i].shard == shard) return i;
    }
  }
  return kNone;
}

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
  // Those of the minibatch before, whose place the next claim kept.
  for (const ItemIndex i : unit.creates) memory.items[index(run.job)][i].reset();
  Pass pass;
  try {
    pass = compute(run, unit);
  } catch (...) {
    explain(run, unit);
  }
  try {
    memory.device.synchronize(TorchDevice::Queue::kCompute);
  } catch (const Error& failure) {
    throw DeviceFailure(failure.what());
  }
  return pass;
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
  const bool device_works = leave_nothing(run, unit);
  try {
    throw;
  } catch (const c10::OutOfMemoryError& failure) {
    throw OutOfMemory(failure.what());
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

/// Rows of the whole minibatch, replica by replica and microbatch by microbatch.
Minibatch Training::minibatch(const UnitRun& run, const Unit& unit) const {
  const JobMemory& job = *jobs_[index(run.job)];
  const TorchDevice& device = devices_[index(run.device)]->device;
  const Minibatch made = make_minibatch(job.job, *job.data, run.minibatch);
  const auto part = [&](const at::Tensor& all) {
    return device.move_in(all.narrow(0, job.parts.place(unit) * job.sequences, job.sequences));
  };
  return {part(made.tokens), part(made.targets)};
}

PassKey Training::key(const UnitRun& run, const Unit& unit) const {
  const JobMemory& job = *jobs_[index(run.job)];
  return {job.job.seed, run.minibatch, job.parts.place(unit)};
}

const at::Tensor& Training::present(const UnitRun& run, const Unit& unit, ItemKind kind,
                                    int shard) {
  const at::Tensor& there = item(run, unit, kind, shard);
  if (there.defined()) return there;
  throw OutOfMemory(cluster_.devices[index(run.device)].name + ": out of memory: no room for the " +
                    to_string(kind) + " of shard " + std::to_string(shard) +
                    "; give the device a smaller budget than it has memory");
}

at::Tensor& Training::item(const UnitRun& run, const Unit& unit, ItemKind kind, int shard) {
  const ItemIndex i = find(program_.jobs[index(run.job)], unit, kind, shard);
  return devices_[index(run.device)]->items[index(run.job)].at(i);
}

std::vector<Recording>& Training::graph_of(const UnitRun& run, ItemIndex item) {
  return devices_[index(run.device)]->graphs[index(run.job)][item];
}

void Training::forward(const UnitRun& run, const Unit& unit) {
  JobMemory& job = *jobs_[index(run.job)];
  const ShardPass& shard = job.shards[static_cast<std::size_t>(unit.shard)];
  const ItemIndex graph = find(program_.jobs[index(run.job)], unit, ItemKind::kGraph, unit.shard);
  if (graph != kNone) {
    Recording recording = record(run, unit);
    if (!shard.makes_loss()) {
      item(run, unit, ItemKind::kActivation, unit.shard) = recording.output.front().detach();
    }
    graph_of(run, graph).assign(1, std::move(recording));
    return;
  }
  const Minibatch data =
      shard.takes_tokens() || shard.makes_loss() ? minibatch(run, unit) : Minibatch{};
  const at::Tensor input = shard.takes_tokens()
                               ? data.tokens
                               : present(run, unit, ItemKind::kActivation, unit.shard - 1);
  const float* parameters = present(run, unit, ItemKind::kParameters, unit.shard).data_ptr<float>();
  if (shard.makes_loss()) {  // Of a pipeline that recomputes: its backward makes the loss again.
    static_cast<void>(shard.evaluate(parameters, input, data.targets, key(run, unit)));
  } else {
    item(run, unit, ItemKind::kActivation, unit.shard) =
        shard.forward(parameters, input, key(run, unit));
  }
}

/// The shard's forward, with its graph.
Recording Training::record(const UnitRun& run, const Unit& unit) {
  JobMemory& job = *jobs_[index(run.job)];
  const ShardPass& shard = job.shards[static_cast<std::size_t>(unit.shard)];
  const float* parameters = present(run, unit, ItemKind::kParameters, unit.shard).data_ptr<float>();
  Minibatch data;
  if (shard.takes_tokens() || shard.makes_loss()) {
    data = minibatch(run, unit);
  }
  const at::Tensor input = shard.takes_tokens()
                               ? data.tokens
                               : present(run, unit, ItemKind::kActivation, unit.shard - 1);
  return shard.makes_loss() ? shard.record(parameters, input, data.targets, key(run, unit))
                            : shard.record(parameters, input, key(run, unit));
}

/// Where a backward adds its gradients; zeros where it is the first to do so; undefined where it
/// steps itself.
at::Tensor Training::sums(const UnitRun& run, const Unit& unit) {
  const JobProgram& program = program_.jobs[index(run.job)];
  const ItemIndex i = find(program, unit, ItemKind::kWeightGradient, unit.shard);
  if (i == kNone) return {};
  DeviceMemory& memory = *devices_[index(run.device)];
  at::Tensor& there = memory.items[index(run.job)][i];
  if (unit.creates.contains(i)) {
    const JobMemory& job = *jobs_[index(run.job)];
    there =
        memory.device.empty(job.shards[static_cast<std::size_t>(unit.shard)].parameter_floats());
    there.zero_();
  }
  return there;
}

Work::Pass Training::backward(const UnitRun& run, const Unit& unit) {
  JobMemory& job = *jobs_[index(run.job)];
  const ShardPass& shard = job.shards[static_cast<std::size_t>(unit.shard)];
  Stopwatch watch(devices_[index(run.device)]->device);
  const ItemIndex graph = find(program_.jobs[index(run.job)], unit, ItemKind::kGraph, unit.shard);
  std::vector<Recording> recording;
  if (graph != kNone) recording = std::exchange(graph_of(run, graph), {});
  Pass pass;
  bool recomputed = false;
  if (recording.empty()) {
    recording.push_back(record(run, unit));
    watch.mark();
    recomputed = unit.kind != UnitKind::kFused;
  }
  const at::Tensor sum = sums(run, unit);
  const at::Tensor* into = sum.defined() ? &sum : nullptr;
  const Gradients gradients =
      shard.makes_loss()
          ? shard.backward(std::move(recording.front()), into)
          : shard.backward(std::move(recording.front()),
                           present(run, unit, ItemKind::kGradient, unit.shard), into);
  if (shard.makes_loss()) note_loss(gradients.loss, pass);
  if (unit.shard > 0) {
    item(run, unit, ItemKind::kGradient, unit.shard - 1) = gradients.input.front().contiguous();
  }
  if (into == nullptr) step(run, unit, gradients);
  if (recomputed) pass.recompute = watch.laps().front();
  return pass;
}

void Training::note_loss(double loss, Pass& pass) {
  pass.has_loss = true;
  pass.loss = loss;
  if (std::isfinite(loss)) return;
  throw Error("the loss is " + std::string(std::isnan(loss) ? "not a number" : "infinite") +
              "; try a lower learning rate");
}

void Training::step(const UnitRun& run, const Unit& unit, const Gradients& gradients) {
  const JobMemory& job = *jobs_[index(run.job)];
  job.shards[static_cast<std::size_t>(unit.shard)].step(
      job.job.optimizer, run.minibatch + 1, gradients,
      present(run, unit, ItemKind::kParameters, unit.shard).data_ptr<float>(),
      present(run, unit, ItemKind::kState, unit.shard).data_ptr<float>());
}

/// The gradient of the minibatch's mean loss is the mean of those of its microbatches.
void Training::step_on_sums(const UnitRun& run, const Unit& unit) {
  const JobMemory& job = *jobs_[index(run.job)];
  at::Tensor& sum = item(run, unit, ItemKind::kWeightGradient, unit.shard);
  sum.mul_(1.0 / job.parts.count());
  step(run, unit, job.shards[static_cast<std::size_t>(unit.shard)].view_gradients(sum));
}

/// All replicas' last backwards are done, and no step before its own reduction. So whoever comes
/// first adds up for all, in the order of the replicas, and the others wait for that.
void Training::reduce(const UnitRun& run, const Unit& unit) {
  const auto shared = jobs_[index(run.job)]->reductions[static_cast<std::size_t>(unit.shard)];
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
    for (const at::Tensor& sum : sums) piece(sum).copy_(total);
  }
  devices_[index(run.device)]->device.synchronize(TorchDevice::Queue::kCompute);
}

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

void Training::drop(JobId job, ItemIndex i, DeviceId from) {
  if (from == kNoDevice) return;  // Host buffers are kept for the next minibatch.
  const Item& item = program_.jobs[index(job)].items[i];
  if (item.kind == ItemKind::kGraph) devices_[index(from)]->graphs[index(job)][i].clear();
  devices_[index(from)]->items[index(job)][i].reset();
}

void Training::keep(JobId job, std::int64_t minibatches) { jobs_[index(job)]->keep(minibatches); }

void Training::restore(JobId job) { jobs_[index(job)]->restore(versions_); }

void Training::lose(DeviceId device) {
  {
    const std::lock_guard lock(versions_);
    devices_[index(device)]->lost = true;
  }
  for (const auto& job : jobs_) {
    for (const auto& reduction : job->reductions) {
      const std::lock_guard lock(reduction->mutex);
      if (reduction->by != device) continue;
      reduction->lost = true;
      reduction->changed.notify_all();
    }
  }
}

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
