#pragma once

#include <chrono>
#include <utility>
#include <vector>

#include "core/phase.h"
#include "core/profile.h"

namespace shardlab {

using Samples = std::vector<Duration>;

/// Times of one layer.
struct LayerSamples {
  Samples forward, recompute, backward, step;
};

/// Nearest-rank median and quartiles, and how many are outliers. Zero without samples.
Measured summarize(Samples samples);

LayerTimes summarize(const LayerSamples& samples);

std::vector<LayerTimes> summarize(const std::vector<LayerSamples>& layers);

/// Of all layers, whose medians are made to add up to the median minibatch: where layers vary from
/// minibatch to minibatch, each for itself, those of each add up to less, as they are skewed.
std::vector<LayerTimes> summarize(const std::vector<LayerSamples>& layers, Samples minibatches);

/// Puts `from` behind `to`.
void append(LayerSamples& to, const LayerSamples& from);

/// How long `body` takes by the steady clock.
template <typename Body>
Duration timed(Body&& body) {
  const auto start = std::chrono::steady_clock::now();
  std::forward<Body>(body)();
  return std::chrono::steady_clock::now() - start;
}

}  // namespace shardlab
