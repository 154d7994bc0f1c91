#pragma once

#include <cstdint>
#include <vector>

#include "core/ids.h"

namespace shardlab {

/// What a search that stops jobs early was told at an instant of a run, and decided then.
struct Decision {
  struct Told {
    JobId job{};
    std::int64_t minibatches = 0;  ///< Its goal, to which it came; 0: it ended.
    double loss = 0;               ///< After those.

    bool operator==(const Told&) const = default;
  };
  struct Verdict {
    JobId job{};
    bool goes_on = false;

    bool operator==(const Verdict&) const = default;
  };
  std::vector<Told> told;
  std::vector<Verdict> verdicts;

  bool operator==(const Decision&) const = default;
};

}  // namespace shardlab
