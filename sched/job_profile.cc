#include "sched/job_profile.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "core/error.h"

namespace shardlab {
namespace {

/// Of as many floats; what is too much for any machine stays so, and does not overflow.
Bytes float_bytes(double floats) { return static_cast<Bytes>(std::min(4 * floats, 0x1p60)); }

/// Floats of the adapters of one block: each matrix [out, in] gets [rank, in] and [out, rank].
/// Source: Hu et al., "LoRA", arXiv 2106.09685; matrices as in models/.
double adapter_floats(const ModelSpec& model, int rank) {
  const double w = model.width;
  if (model.architecture == Architecture::kMlp) return rank * 2 * w;
  const auto f = static_cast<double>(feed_forward_width(model));
  return rank * ((w + 3 * w) + (w + w) + (w + f) + (f + w));  // qkv, join, up, down
}
/// Floats that they keep from forward to backward: per token and matrix, what is between the two.
double adapter_activations(const ModelProfile& model, int rank) {
  const int matrices = model.model.architecture == Architecture::kMlp ? 1 : 4;
  return double{1} * rank * matrices * model.batch * model.model.context;
}

Measured scaled(Measured time, double ratio) {
  const auto times = [&](Duration each) {
    return Duration{std::llround(static_cast<double>(each.count()) * ratio)};
  };
  time.median = times(time.median);
  time.spread = times(time.spread);
  return time;
}

void freeze(LayerCost& layer) {
  layer.frozen = std::exchange(layer.parameters, 0);
  layer.state = 0;
  for (LayerTimes* times : {&layer.alone, &layer.loaded}) times->step = {};
  if (layer.host_step) layer.host_step = Measured{};
}

void only_forward(LayerCost& layer) {
  freeze(layer);
  layer.saved = layer.backward_workspace = 0;
  for (LayerTimes* times : {&layer.alone, &layer.loaded}) {
    times->recompute = times->forward;
    times->backward = {};
  }
}

void adapt(LayerCost& layer, const ModelProfile& model, int rank) {
  const LayerCost whole = layer;
  freeze(layer);
  layer.parameters = float_bytes(adapter_floats(model.model, rank));
  layer.state = layer.parameters * state_factor(model.optimizer);
  layer.saved += float_bytes(adapter_activations(model, rank));
  const double share = static_cast<double>(layer.parameters) /
                       static_cast<double>(std::max<Bytes>(whole.parameters, 1));
  layer.alone.step = scaled(whole.alone.step, share);
  layer.loaded.step = scaled(whole.loaded.step, share);
  if (whole.host_step) layer.host_step = scaled(*whole.host_step, share);
}

ModelProfile frozen(ModelProfile model, const Job& job) {
  const int layers = static_cast<int>(model.layers.size());
  const bool adapters = job.lora_rank > 0;
  model.first_trained = adapters ? 1 : job.frozen_layers;  // Above the embedding.
  if (model.first_trained >= layers) {
    throw Error(fmt::format("frozen_layers is {}, the model has {} layers; leave one to train",
                            model.first_trained, layers));
  }
  for (int i = 0; i < layers; ++i) {
    LayerCost& layer = model.layers[static_cast<std::size_t>(i)];
    if (i < model.first_trained) {
      only_forward(layer);
    } else if (adapters && i <= model.model.layers) {
      adapt(layer, model, job.lora_rank);
    } else if (adapters) {  // The head only passes the gradient on.
      freeze(layer);
    }
  }
  model.whole.reset();
  return model;
}

}  // namespace

std::shared_ptr<const ModelProfile> job_profile(const Profile& profile, const Job& job, int batch) {
  const ModelProfile& entry = find(profile, job.model, batch, job.optimizer.kind);
  if (job.frozen()) return std::make_shared<const ModelProfile>(frozen(entry, job));
  return {std::shared_ptr<const void>(), &entry};  // Owns nothing.
}

}  // namespace shardlab
