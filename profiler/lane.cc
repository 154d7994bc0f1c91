#include "profiler/lane.h"

#include <algorithm>
#include <cstddef>

#include <ATen/Parallel.h>

#include "core/error.h"
#include "profiler/hand_over.h"

namespace shardlab {

void set_threads(int threads) { at::set_num_threads(threads); }

void append(LaneSamples& to, const LaneSamples& from) {
  to.models.resize(std::max(to.models.size(), from.models.size()));
  for (std::size_t m = 0; m < from.models.size(); ++m) {
    auto& layers = to.models[m];
    layers.resize(std::max(layers.size(), from.models[m].size()));
    for (std::size_t i = 0; i < from.models[m].size(); ++i) append(layers[i], from.models[m][i]);
  }
  to.copies.insert(to.copies.end(), from.copies.begin(), from.copies.end());
  to.overhead.insert(to.overhead.end(), from.overhead.begin(), from.overhead.end());
  to.hand_over.insert(to.hand_over.end(), from.hand_over.begin(), from.hand_over.end());
}

Lane::Lane(const std::vector<BenchKey>& keys, int threads) : keys_(keys), threads_(threads) {}

void Lane::enter() {
  set_threads(threads_);
  if (!models_.empty()) return;
  for (const BenchKey& key : keys_) {
    models_.push_back(in_context(describe(key.model), [&] {
      return std::make_unique<ModelBench>(key.model, key.batch, key.optimizer, key.shard);
    }));
  }
  copies_ = std::make_unique<CopyBench>();
}

void Lane::run(std::size_t model, const Surroundings& around, LaneSamples& samples) {
  constexpr int kSmall = 10;  // Samples of microseconds per round.
  samples.models.resize(keys_.size());
  models_[model]->run(around, samples.models[model]);
  around.begin();
  copies_->run(samples.copies);
  for (int i = 0; i < kSmall; ++i) samples.overhead.push_back(time_unit_overhead());
  time_hand_over(kSmall, samples.hand_over);
  around.end();
}

}  // namespace shardlab
