#pragma once

#include <array>
#include <cstdint>

namespace shardlab {

/// What a layer does in one minibatch: the members of LayerTimes.
enum class Phase : std::uint8_t { kForward, kRecompute, kBackward, kStep };
inline constexpr std::array kPhases{Phase::kForward, Phase::kRecompute, Phase::kBackward,
                                    Phase::kStep};

/// What `layer`, LayerTimes or samples of them, has of that phase.
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

}  // namespace shardlab
