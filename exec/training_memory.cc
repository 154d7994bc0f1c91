#include "exec/training_memory.h"

#include <cstring>
#include <span>
#include <string>
#include <utility>

#include <ATen/ATen.h>

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
    throw Error("the checkpoint holds " + std::to_string(from.size()) +
                " floats of a layer, the "
                "model has " +
                std::to_string(to.size()));
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
      parts(parts_of(program)),
      sequences(job.batch / parts.count()),
      reductions(first.size()),
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
  if (in_host_memory(program, item) && floats * static_cast<Bytes>(sizeof(float)) != item.bytes) {
    throw Error("the profile says " + std::to_string(item.bytes) + " bytes for the " +
                to_string(item.kind) + " of shard " + std::to_string(item.shard) +
                ", the model has " + std::to_string(floats * sizeof(float)) +
                "; profile this workload again");
  }
  host.push_back(copier_.host_zeros(floats));
  const bool in_place = item.lasting && !has_second_version(program, item);
  next.push_back(in_place ? at::Tensor{} : copier_.host_zeros(item.lasting ? floats : 0));
  gradients.emplace_back();
  gradient_steps.push_back(0);
}

/// Items stand kind by kind where there are steps on the host: jobs of one track.
ItemIndex JobMemory::state_item(ItemIndex parameters) const {
  const auto shards_of_job = static_cast<int>(shards.size());
  return item_index(ItemKind::kState, program.items[parameters].shard, shards_of_job);
}

std::int64_t JobMemory::floats_of(const Item& item) const {
  const ShardPass& shard = shards[static_cast<std::size_t>(item.shard)];
  if (gathers() && item.bytes == 0) return 0;  // The first replica's is all replicas'.
  switch (item.kind) {
    case ItemKind::kParameters:
      return shard.parameter_floats();
    case ItemKind::kState:
      return shard.parameter_floats() * state_factor(job.optimizer.kind);
    case ItemKind::kActivation:
    case ItemKind::kGradient:
      return shard.makes_loss() ? 0 : boundary_elements(job.model, sequences);
    case ItemKind::kWeightGradient:
      return gathers() ? shard.parameter_floats() : 0;
    case ItemKind::kGraph:
      return 0;  // Never in host memory: jobs that have them are held.
    case ItemKind::kFrozen:
      break;  // Refused before it gets here.
  }
  return 0;
}

/// What the run begins with; replicas are alike.
void JobMemory::begin() {
  const auto layers = static_cast<std::size_t>(model.layers());
  if (resume_ != nullptr && resume_->layers.size() != layers) {
    throw Error("the checkpoint holds " + std::to_string(resume_->layers.size()) +
                " layers, the model has " + std::to_string(layers));
  }
  for (std::size_t i = 0; i < program.items.size(); ++i) {
    if (program.items[i].lasting) set(program.items[i], host[i]);
  }
  reset_reductions(program.done);
}

void JobMemory::set(const Item& item, at::Tensor& to) const {
  const ShardPass& shard = shards[static_cast<std::size_t>(item.shard)];
  const bool parameters = item.kind == ItemKind::kParameters;
  std::span<float> rest = floats(to);
  if (resume_ == nullptr && parameters) {
    shard.initialize(job.seed, rest);
  } else if (resume_ == nullptr) {
    to.zero_();
  }
  for (int layer = shard.first(); resume_ != nullptr && layer < shard.last(); ++layer) {
    const Checkpoint::Layer& from = resume_->layers[static_cast<std::size_t>(layer)];
    const std::int64_t floats = (shard.offset(layer + 1) - shard.offset(layer)) *
                                (parameters ? 1 : state_factor(job.optimizer.kind));
    const auto size = static_cast<std::size_t>(floats);
    copy(parameters ? from.parameters : from.state, rest.first(size));
    rest = rest.subspan(size);
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

/// All memory first: what was kept before stays whole where there is none.
void JobMemory::keep(std::int64_t minibatches) {
  if (kept.empty()) {
    std::vector<at::Tensor> places(host.size());
    for (std::size_t i = 0; i < host.size(); ++i) {
      if (program.items[i].lasting) places[i] = at::empty_like(host[i]);
    }
    kept = std::move(places);
  }
  for (std::size_t i = 0; i < host.size(); ++i) {
    if (program.items[i].lasting) copy(floats(host[i]), floats(kept[i]));
  }
  kept_minibatches = minibatches;
}

void JobMemory::restore(std::mutex& versions) {
  for (std::size_t i = 0; i < host.size(); ++i) {
    if (!program.items[i].lasting) continue;
    const auto item = static_cast<ItemIndex>(i);
    at::Tensor place;
    {
      const std::lock_guard lock(versions);
      place = take_place(item);
    }
    if (kept.empty()) {
      set(program.items[i], place);
    } else {
      copy(floats(kept[i]), floats(place));
    }
    const std::lock_guard lock(versions);
    publish(item, std::move(place));
  }
  const std::lock_guard lock(versions);  // Another device may be lost meanwhile.
  reset_reductions(kept.empty() ? program.done : kept_minibatches);
}

/// New ones: a thread of a lost device may never leave the old.
void JobMemory::reset_reductions(std::int64_t minibatches) {
  for (auto& reduction : reductions) {
    reduction = std::make_shared<Reduction>();
    reduction->done = minibatches;
  }
}

Checkpoint JobMemory::state_of(const std::vector<at::Tensor>& items,
                               std::int64_t minibatches) const {
  Checkpoint state;
  state.minibatch = minibatches;
  state.microbatches = parts.microbatches;
  state.replicas = parts.replicas;
  state.layers.resize(static_cast<std::size_t>(model.layers()));
  for (std::size_t i = 0; i < items.size(); ++i) {
    const Item& item = program.items[i];
    if (!item.lasting || item.replica > 0) continue;
    const ShardPass& shard = shards[static_cast<std::size_t>(item.shard)];
    const bool parameters = item.kind == ItemKind::kParameters;
    const int factor = parameters ? 1 : state_factor(job.optimizer.kind);
    const float* values = items[i].const_data_ptr<float>();
    for (int layer = shard.first(); layer < shard.last(); ++layer) {
      const std::int64_t from = shard.offset(layer) * factor;
      const std::int64_t to = shard.offset(layer + 1) * factor;
      Checkpoint::Layer& kept_layer = state.layers[static_cast<std::size_t>(layer)];
      (parameters ? kept_layer.parameters : kept_layer.state) = {
          values + from, static_cast<std::size_t>(to - from)};
    }
  }
  return state;
}

DeviceMemory::DeviceMemory(const DeviceSpec& spec, const Program& program)
    : device(spec), meter(device, spec.memory) {
  for (const JobProgram& job : program.jobs) {
    items.emplace_back(job.items.size());
    elsewhere.emplace_back(job.items.size());
    step_of.emplace_back(job.items.size());
    graphs.emplace_back(job.items.size());
  }
}

}  // namespace shardlab
