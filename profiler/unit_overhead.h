#pragma once

#include "core/time.h"
#include "models/torch_device.h"

namespace shardlab {

/// What surrounds the layers of one unit on its lane: account, clock, views of its boundaries, and
/// on an accelerator waiting for its end. One sample. Requires that the thread has entered the
/// computing queue.
Duration time_unit_overhead(const TorchDevice& device);

}  // namespace shardlab
