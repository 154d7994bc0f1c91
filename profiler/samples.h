#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/profile.h"

namespace shardlab {

using Samples = std::vector<Duration>;

/// What a layer does in one minibatch.
enum class Phase : std::uint8_t { kForward, kRecompute, kBackward, kStep };
inline constexpr std::array kPhases{Phase::kForward, Phase::kRecompute, Phase::kBackward,
                                    Phase::kStep};

/// Times of one layer.
struct LayerSamples {
  Samples forward, recompute, backward, step;
};

/// What `layer`, LayerSamples or LayerTimes, has of that phase.
template <typename Layer>
auto& of(Layer& layer, Phase phase) {
  switch (phase) {
    case Phase::kForward:
      return layer.forward;
    case Phase::kRecompute:
      return layer.recompute;
    case Phase::kBackward:
      return layer.backward;
    case Phase::kStep:
      break;
  }
  return layer.step;
}

/// Nearest-rank median and quartiles. Zero without samples.
Measured summarize(Samples samples);

LayerTimes summarize(const LayerSamples& samples);

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
