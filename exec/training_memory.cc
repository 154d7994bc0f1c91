#include <ATen/ATen.h>

#include "exec/training_memory.h"

#include <cstring>
#include <span>
#include <string>
#include <utility>

#include "core/error.h"
#include "models/validate.h"

namespace shardlab {
namespace {

/// All floats of a tensor in host memory.
std::span<float> floats(const at::Tensor& tensor) {
  return {tensor.data_ptr<float>(), static_cast<std::size_t>(tensor.numel())};
}

void copy(std::span<const float> from, std::span<float> to) {
  if (from.size() != to.size()) {
    throw Error("the checkpoint holds " + std::to_string(from.size()) + " floats of a layer, the "
                "model has " + std::to_string(to.size()));
  }
  std::memcpy(to.data(), from.data(), from.size_bytes());
}

}  // namespace

JobMemory::JobMemory(const Job& the_job, const JobProgram& the_program,
                     const std::vector<int>& first, std::shared_ptr<const TextData> text,
                     const TorchDevice& copier, const Checkpoint* resume)
    : job(the_job),
      program(the_program),
      model(the_job.model),
      data(std::move(text)),
      copier_(copier),
      resume_(resume) {
  data->check(job.model);
  for (std::size_t s = 0; s < first.size(); ++s) {
    const int last = s + 1 < first.size() ? first[s + 1] : model.layers();
    shards.emplace_back(model, first[s], last);
  }
  for (const Item& item : program.items) add(item);
  begin();
}

/// Both versions now: the first touch of memory takes ten times as long as a copy.
void JobMemory::add(const Item& item) {
  const std::int64_t floats = floats_of(item);
  if (floats * static_cast<Bytes>(sizeof(float)) != item.bytes && item.kind != ItemKind::kGraph) {
    throw Error("the profile says " + std::to_string(item.bytes) + " bytes for the " +
                to_string(item.kind) + " of shard " + std::to_string(item.shard) +
                ", the model has " + std::to_string(floats * sizeof(float)) +
                "; profile this workload again");
  }
  host.push_back(copier_.host_zeros(floats));
  next.push_back(copier_.host_zeros(item.lasting ? floats : 0));
}

std::int64_t JobMemory::floats_of(const Item& item) const {
  const ShardPass& shard = shards[static_cast<std::size_t>(item.shard)];
  switch (item.kind) {
    case ItemKind::kParameters:
      return shard.parameter_floats();
    case ItemKind::kState:
      return shard.parameter_floats() * state_factor(job.optimizer.kind);
    case ItemKind::kActivation:
    case ItemKind::kGradient:
      return shard.makes_loss() ? 0 : boundary_elements(job.model, job.batch);
    case ItemKind::kGraph:
    case ItemKind::kWeightGradient:
      return 0;  // Never in host memory.
    case ItemKind::kFrozen:
      break;  // Refused before it gets here.
  }
  return 0;
}

/// What the run begins with.
void JobMemory::begin() {
  if (resume_ != nullptr) {
    const Checkpoint mine = current_state();
    if (mine.layers.size() != resume_->layers.size()) {
      throw Error("the checkpoint holds " + std::to_string(resume_->layers.size()) +
                  " layers, the model has " + std::to_string(mine.layers.size()));
    }
    const auto writable = [](std::span<const float> mine_floats) {
      return std::span<float>{const_cast<float*>(mine_floats.data()), mine_floats.size()};
    };
    for (std::size_t i = 0; i < mine.layers.size(); ++i) {
      copy(resume_->layers[i].parameters, writable(mine.layers[i].parameters));
      copy(resume_->layers[i].state, writable(mine.layers[i].state));
    }
    return;
  }
  for (std::size_t i = 0; i < program.items.size(); ++i) {
    const Item& item = program.items[i];
    if (item.kind == ItemKind::kState) host[i].zero_();
    if (item.kind != ItemKind::kParameters) continue;
    shards[static_cast<std::size_t>(item.shard)].initialize(job.seed, floats(host[i]));
  }
}

at::Tensor JobMemory::take_place(ItemIndex item) {
  at::Tensor place = std::exchange((program.items[item].lasting ? next : host)[item], {});
  // A reader or writer on a lost device may still hold it.
  if (place.defined() && place.use_count() == 1) return place;
  return copier_.host_zeros(floats_of(program.items[item]));
}

void JobMemory::publish(ItemIndex item, at::Tensor version) {
  std::swap(host[item], version);
  if (program.items[item].lasting) next[item] = std::move(version);
}

void JobMemory::keep(std::int64_t minibatches) {
  kept.resize(host.size());
  for (std::size_t i = 0; i < host.size(); ++i) {
    if (!program.items[i].lasting) continue;
    if (!kept[i].defined()) kept[i] = at::empty_like(host[i]);
    copy(floats(host[i]), floats(kept[i]));
  }
  kept_minibatches = minibatches;
}

void JobMemory::restore() {
  for (std::size_t i = 0; i < host.size(); ++i) {
    if (!program.items[i].lasting) continue;
    publish(static_cast<ItemIndex>(i), take_place(static_cast<ItemIndex>(i)));
    if (!kept.empty()) copy(floats(kept[i]), floats(host[i]));
  }
  if (kept.empty()) begin();
}

Checkpoint JobMemory::state_of(const std::vector<at::Tensor>& items,
                               std::int64_t minibatches) const {
  Checkpoint state;
  state.minibatch = minibatches;
  const int factor = state_factor(job.optimizer.kind);
  const int count = static_cast<int>(shards.size());
  for (int s = 0; s < count; ++s) {
    const ShardPass& shard = shards[static_cast<std::size_t>(s)];
    const float* parameters =
        items[item_index(ItemKind::kParameters, s, count)].const_data_ptr<float>();
    const float* moments = items[item_index(ItemKind::kState, s, count)].const_data_ptr<float>();
    for (int layer = shard.first(); layer < shard.last(); ++layer) {
      const std::int64_t from = shard.offset(layer), size = shard.offset(layer + 1) - from;
      state.layers.push_back(
          {{parameters + from, static_cast<std::size_t>(size)},
           {moments + from * factor, static_cast<std::size_t>(size * factor)}});
    }
  }
  return state;
}

DeviceMemory::DeviceMemory(const DeviceSpec& spec, const Program& program)
    : device(spec), meter(device, spec.memory) {
  for (const JobProgram& job : program.jobs) {
    items.emplace_back(job.items.size());
    graphs.emplace_back(job.units.size());
  }
}

}  // namespace shardlab
