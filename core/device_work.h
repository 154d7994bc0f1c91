#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>
#include <map>

#include "core/bytes.h"
#include "core/time.h"

namespace shardlab {

enum class CopyDirection : std::uint8_t { kHostToDevice, kDeviceToHost, kDeviceToDevice, kOther };

struct CopyClass {
  CopyDirection direction = CopyDirection::kOther;
  bool pinned = false;  ///< Between host and device: the host's side is page-locked.
  auto operator<=>(const CopyClass&) const = default;
};

struct CopyTotals {
  std::int64_t count = 0;
  Bytes bytes = 0;
  Duration busy{};  ///< The union of these copies, per device.
  bool operator==(const CopyTotals&) const = default;
};

/// What a device did for something, by its own records, in so many minibatches together.
struct DeviceWork {
  std::int64_t minibatches = 0;
  std::int64_t launches = 0;  ///< Kernels and sets; those of others' traces: copies within, too.
  Duration busy{};            ///< The union of those, per minibatch.
  /// Between two of them that nothing of another layer came between, while nothing ran and nothing
  /// was copied.
  Duration gaps{};
  std::map<CopyClass, CopyTotals> copies = {};
  bool operator==(const DeviceWork&) const = default;
};

/// Adds `from`; bytes up to what a profile holds.
inline void add(std::map<CopyClass, CopyTotals>& to, const CopyClass& of, const CopyTotals& from) {
  constexpr Bytes kMost = Bytes{1} << 60;
  CopyTotals& totals = to[of];
  totals.count += from.count;
  totals.bytes = std::min(totals.bytes + std::clamp(from.bytes, Bytes{0}, kMost), kMost);
  totals.busy += from.busy;
}

/// The same of other minibatches.
inline void add(DeviceWork& to, const DeviceWork& from) {
  to.minibatches += from.minibatches;
  to.launches += from.launches;
  to.busy += from.busy;
  to.gaps += from.gaps;
  for (const auto& [of, totals] : from.copies) add(to.copies, of, totals);
}

}  // namespace shardlab
