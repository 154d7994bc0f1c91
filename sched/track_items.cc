#include "sched/track_items.h"

#include <algorithm>
#include <utility>

namespace shardlab {

TrackItems::TrackItems(const JobPlan& plan, std::vector<ShardCost> costs)
    : plan_(plan),
      costs_(std::move(costs)),
      shards_(plan.shards()),
      gathers_(plan.strategy == Strategy::kZeroOffload),
      frozen_(std::any_of(costs_.begin(), costs_.end(),
                          [](const ShardCost& cost) { return cost.frozen > 0; })) {}

ItemIndex TrackItems::index_of(ItemKind kind, int replica, int microbatch, int shard) const {
  const int own = (frozen_ ? 4 : 3) * shards_, each = 3 * shards_;
  int at = replica * (own + plan_.microbatches * each) + shard;
  switch (kind) {
    case ItemKind::kParameters:
    case ItemKind::kState:
      if (gathers_) at = shard;
      return static_cast<ItemIndex>(at + (kind == ItemKind::kState ? shards_ : 0));
    case ItemKind::kWeightGradient:
      return static_cast<ItemIndex>(at + 2 * shards_);
    case ItemKind::kFrozen:
      return static_cast<ItemIndex>((gathers_ ? shard : at) + 3 * shards_);
    default:
      break;
  }
  const int which = static_cast<int>(kind) - static_cast<int>(ItemKind::kActivation);
  return static_cast<ItemIndex>(at + own + microbatch * each + which * shards_);
}

std::vector<Item> TrackItems::all() const {
  std::vector<Item> items;
  for (int r = 0; r < plan_.replicas; ++r) {
    for (const ItemKind kind :
         {ItemKind::kParameters, ItemKind::kState, ItemKind::kWeightGradient}) {
      for (int s = 0; s < shards_; ++s) items.push_back(make(kind, r, 0, s));
    }
    for (int s = 0; frozen_ && s < shards_; ++s) {
      items.push_back(make(ItemKind::kFrozen, r, 0, s));
    }
    for (int m = 0; m < plan_.microbatches; ++m) {
      for (const ItemKind kind : {ItemKind::kActivation, ItemKind::kGradient, ItemKind::kGraph}) {
        for (int s = 0; s < shards_; ++s) items.push_back(make(kind, r, m, s));
      }
    }
  }
  return items;
}

Item TrackItems::make(ItemKind kind, int r, int m, int s) const {
  Item item{kind, s, 0, false, device(r, s), m, r};
  const bool unused = gathers_ && r > 0;  // Replica 0's are shared.
  switch (kind) {
    case ItemKind::kParameters:
    case ItemKind::kFrozen:
      item.bytes = unused ? 0 : kind == ItemKind::kFrozen ? cost(s).frozen : cost(s).parameters;
      item.lasting = !unused;
      if (gathers_ && plan_.replicas > 1) item.only_reader = kNoDevice;
      break;
    case ItemKind::kState:
      item.bytes = unused ? 0 : cost(s).state;
      item.lasting = !unused;
      if (gathers_) item.only_reader = device(owner(s), s);
      break;
    case ItemKind::kWeightGradient:
      item.bytes = sum_of_gradients(s);
      break;
    case ItemKind::kActivation:
      item.bytes = cost(s).output;
      item.only_reader = s + 1 < shards_ ? device(r, s + 1) : kNoDevice;
      break;
    case ItemKind::kGradient:
      item.bytes = cost(s).backward ? cost(s).output : 0;
      break;
    case ItemKind::kGraph:
      item.bytes = plan_.recomputes(s) ? 0 : cost(s).graph;
      break;
  }
  return item;
}

}  // namespace shardlab
