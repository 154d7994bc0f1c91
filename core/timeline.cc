#include "core/timeline.h"

namespace shardlab {

std::string to_string(UnitKind kind) {
  switch (kind) {
    case UnitKind::kForward:
      return "forward";
    case UnitKind::kBackward:
      return "backward";
    case UnitKind::kFused:
      return "fused";
    case UnitKind::kReduce:
      return "reduce";
    case UnitKind::kStep:
      return "step";
  }
  return "?";
}

std::string to_string(ItemKind kind) {
  switch (kind) {
    case ItemKind::kParameters:
      return "parameters";
    case ItemKind::kState:
      return "state";
    case ItemKind::kActivation:
      return "activation";
    case ItemKind::kGradient:
      return "gradient";
    case ItemKind::kGraph:
      return "graph";
    case ItemKind::kWeightGradient:
      return "weight gradient";
    case ItemKind::kFrozen:
      return "frozen parameters";
  }
  return "?";
}

std::string to_string(Direction which) {
  switch (which) {
    case Direction::kPromote:
      return "promote";
    case Direction::kDemote:
      return "demote";
    case Direction::kPeer:
      return "peer";
  }
  return "?";
}

}  // namespace shardlab
