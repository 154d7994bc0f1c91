#pragma once

namespace shardlab {

/// What one may accept of a profile although it is not what was asked for.
struct Accepted {
  bool batch = false, device = false, precision = false, library = false;
};

}  // namespace shardlab
