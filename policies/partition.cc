#include "policies/partition.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/error.h"
#include "sched/shard_cost.h"

namespace shardlab {
namespace {

constexpr Duration kEndless = Duration::max();

void refuse_layer(const ModelProfile& model, int layer, Bytes limit) {
  const Bytes needed = shard_cost(model, layer, layer + 1).peak();
  if (needed <= limit) return;
  throw Error(
      fmt::format("a shard of layer {} ({}) alone needs {}, available are {}; take a smaller "
                  "batch, fewer slots or a device with more memory",
                  layer, model.layers[static_cast<std::size_t>(layer)].name,
                  format_exact_bytes(needed), format_exact_bytes(limit)));
}

/// Best partitions of the first layers into ever more shards.
class Balance {
 public:
  Balance(const ModelProfile& model, Bytes limit)
      : model_(model), limit_(limit), ends_(model.layers.size() + 1) {
    const int layers = static_cast<int>(model.layers.size());
    for (int i = 0; i < layers; ++i) at(ends_, i + 1) = at(ends_, i) + shard_time(model, i, i + 1);
    longest_ = ends_;  // One shard: its time.
    if (limit_ == kUnlimited) return;
    for (int first = 0; first < layers; ++first) {
      for (int end = first + 1; end <= layers; ++end) fits_.push_back(measured_fits(first, end));
    }
    for (int end = 1; end <= layers; ++end) {
      if (!fits(0, end)) at(longest_, end) = kEndless;
    }
  }

  /// One shard more: the last begins at the layer that makes the longest shortest.
  void add_shard() {
    std::vector<Duration> longest(ends_.size(), kEndless);
    std::vector<int> cut(ends_.size());
    for (int end = 1; end < static_cast<int>(ends_.size()); ++end) {
      for (int first = 1; first < end; ++first) {
        const Duration last = at(ends_, end) - at(ends_, first);
        const Duration worst = std::max(at(longest_, first), last);
        if (worst >= at(longest, end) || !fits(first, end)) continue;
        at(longest, end) = worst;
        at(cut, end) = first;
      }
    }
    longest_ = std::move(longest);
    cuts_.push_back(std::move(cut));
  }

  /// Some partition into as many shards fits.
  [[nodiscard]] bool possible() const { return longest_.back() < kEndless; }

  [[nodiscard]] std::vector<int> first_layers() const {
    std::vector<int> firsts;
    int end = static_cast<int>(ends_.size()) - 1;
    for (auto cut = cuts_.rbegin(); cut != cuts_.rend(); ++cut) {
      end = (*cut)[static_cast<std::size_t>(end)];
      firsts.push_back(end);
    }
    firsts.push_back(0);
    std::reverse(firsts.begin(), firsts.end());
    return firsts;
  }

 private:
  template <typename T>
  static T& at(std::vector<T>& values, int i) {
    return values[static_cast<std::size_t>(i)];
  }

  [[nodiscard]] bool measured_fits(int first, int end) const {
    return shard_cost(model_, first, end).peak() <= limit_;
  }
  /// Layers [first, end), by the table that lists all ends of the first layer, then of the second.
  [[nodiscard]] bool fits(int first, int end) const {
    if (limit_ == kUnlimited) return true;
    const int layers = static_cast<int>(model_.layers.size());
    const int before = first * layers - first * (first - 1) / 2;
    return fits_[static_cast<std::size_t>(before + end - first - 1)];
  }

  const ModelProfile& model_;
  Bytes limit_;
  std::vector<bool> fits_;              ///< Empty where nothing is limited.
  std::vector<Duration> ends_;          ///< Time of the layers below.
  std::vector<Duration> longest_;       ///< Of the best partition of the layers below.
  std::vector<std::vector<int>> cuts_;  ///< Per shard after the first: where it begins.
};

}  // namespace

Duration shard_time(const ModelProfile& model, int first, int last) {
  Duration time{};
  for (int i = first; i < last; ++i) {
    const LayerTimes& layer = model.layers[static_cast<std::size_t>(i)].alone;
    time += i < model.first_trained ? layer.forward.median : total(layer);
  }
  return time;
}

std::vector<int> greedy(const ModelProfile& model, Bytes limit) {
  const int layers = static_cast<int>(model.layers.size());
  std::vector<int> firsts;
  for (int first = 0, last = 0; first < layers; first = last) {
    refuse_layer(model, first, limit);
    firsts.push_back(first);
    last = first + 1;
    while (last < layers && shard_cost(model, first, last + 1).peak() <= limit) ++last;
  }
  return firsts;
}

std::vector<int> balanced(const ModelProfile& model, int shards, Bytes limit) {
  const int layers = static_cast<int>(model.layers.size());
  if (shards < 1 || shards > layers) {
    throw Error(fmt::format("a model of {} layers cannot be cut into {} shards", layers, shards));
  }
  Balance balance(model, limit);
  for (int s = 1; s < shards; ++s) balance.add_shard();
  if (!balance.possible()) {
    throw Error(fmt::format("{} shards do not fit {} each, however they are cut; take more of them",
                            shards, format_bytes(limit)));
  }
  return balance.first_layers();
}

}  // namespace shardlab
