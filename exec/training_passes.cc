#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "core/error.h"
#include "exec/training.h"
#include "exec/training_memory.h"
#include "models/validate.h"

/// What units do with tensors.
namespace shardlab {

/// One shard's tokens and targets of a microbatch.
struct Minibatch {
  at::Tensor tokens, targets;
};

namespace {

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

/// To one that another unit has begun.
bool adds_to_sum(const JobProgram& program, const Unit& unit) {
  return std::ranges::any_of(
      unit.reads, [&](ItemIndex i) { return program.items[i].kind == ItemKind::kWeightGradient; });
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
  const ItemIndex i = find(program_.jobs[index(run.job)], unit, kind, shard);
  DeviceMemory& memory = *devices_[index(run.device)];
  const at::Tensor& there = memory.items[index(run.job)].at(i);
  const at::Tensor elsewhere = memory.elsewhere[index(run.job)][i];
  if (elsewhere.defined()) receive(run.job, i, elsewhere, memory);
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

/// Of a unit that uses up a kept one; else none.
std::vector<Recording> Training::take_graph(const UnitRun& run, const Unit& unit) {
  const ItemIndex graph = find(program_.jobs[index(run.job)], unit, ItemKind::kGraph, unit.shard);
  if (graph == kNone) return {};
  return std::exchange(graph_of(run, graph), {});
}

Work::Pass Training::backward(const UnitRun& run, const Unit& unit) {
  const ShardPass& shard = jobs_[index(run.job)]->shards[static_cast<std::size_t>(unit.shard)];
  DeviceMemory& memory = *devices_[index(run.device)];
  const at::Tensor sum = sums(run, unit);
  const at::Tensor* into = sum.defined() ? &sum : nullptr;
  Stopwatch watch(memory.device);
  std::vector<Recording> recording = take_graph(run, unit);
  memory.spoilt = !recording.empty();
  const bool recomputes = recording.empty() && unit.kind != UnitKind::kFused;
  if (recording.empty()) recording.push_back(record(run, unit));
  if (recomputes) watch.mark();
  memory.spoilt |= adds_to_sum(program_.jobs[index(run.job)], unit);
  const Gradients gradients =
      shard.makes_loss()
          ? shard.backward(std::move(recording.front()), into)
          : shard.backward(std::move(recording.front()),
                           present(run, unit, ItemKind::kGradient, unit.shard), into);
  Pass pass;
  if (shard.makes_loss()) note_loss(gradients.loss, pass);
  if (unit.shard > 0) {
    item(run, unit, ItemKind::kGradient, unit.shard - 1) = gradients.input.front().contiguous();
  }
  if (into == nullptr) step(run, unit, gradients);
  if (recomputes) pass.recompute = watch.laps().front();
  return pass;
}

void Training::note_loss(double loss, Pass& pass) {
  pass.has_loss = true;
  pass.loss = loss;
  if (std::isfinite(loss)) return;
  throw Error("the loss is " + std::string(std::isnan(loss) ? "not a number" : "infinite") +
              "; try a lower learning rate");
}

/// Where the host steps, the gradient takes the place of the parameters.
void Training::step(const UnitRun& run, const Unit& unit, const Gradients& gradients) {
  const JobMemory& job = *jobs_[index(run.job)];
  const JobProgram& program = program_.jobs[index(run.job)];
  const ItemIndex i = find(program, unit, ItemKind::kParameters, unit.shard);
  if (program.items[i].host_steps) {
    DeviceMemory& memory = *devices_[index(run.device)];
    job.shards[static_cast<std::size_t>(unit.shard)].store(gradients,
                                                           memory.items[index(run.job)][i]);
    memory.step_of[index(run.job)][i] = run.minibatch + 1;
    return;
  }
  job.shards[static_cast<std::size_t>(unit.shard)].step(
      job.job.optimizer, run.minibatch + 1, gradients,
      present(run, unit, ItemKind::kParameters, unit.shard).data_ptr<float>(),
      present(run, unit, ItemKind::kState, unit.shard).data_ptr<float>());
}

/// The gradient of the minibatch's mean loss is the mean of those of its microbatches.
void Training::step_on_sums(const UnitRun& run, const Unit& unit) {
  const JobMemory& job = *jobs_[index(run.job)];
  const at::Tensor& sum = present(run, unit, ItemKind::kWeightGradient, unit.shard);
  if (job.gathers()) add_up_handed_in(run, unit, sum);
  devices_[index(run.device)]->spoilt = true;
  sum.mul_(1.0 / job.parts.count());
  step(run, unit, job.shards[static_cast<std::size_t>(unit.shard)].view_gradients(sum));
}

}  // namespace shardlab
