#include "profiler/unit_overhead.h"

#include <array>
#include <cstdint>

#include <ATen/core/Tensor.h>

#include "models/memory_account.h"
#include "models/shard_pass.h"
#include "models/validate.h"
#include "profiler/samples.h"

namespace shardlab {

Duration time_unit_overhead(const TorchDevice& device) {
  constexpr int kBatch = 16;
  const ModelSpec spec{Architecture::kMlp, 1, 16, 1, 1, 0};
  const std::array<std::int64_t, kBatch> tokens{};
  const at::Tensor values = device.empty(boundary_elements(spec, kBatch)).zero_();
  device.synchronize();
  const MemoryAccount account;
  Duration computing{};
  const Duration all = timed([&] {
    const AccountScope scope(account);
    Stopwatch watch(device);
    const at::Tensor ids = view_tokens(tokens, kBatch);
    const at::Tensor below = view_activation(values.data_ptr<float>(), spec, kBatch);
    const at::Tensor above = values.clone();
    watch.mark();
    device.synchronize();
    if (!device.is_cpu()) computing = watch.laps().front();
  });
  return all - computing;
}

}  // namespace shardlab
