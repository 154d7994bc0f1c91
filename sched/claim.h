#pragma once

#include <cstddef>
#include <cstdint>

#include "core/ids.h"
#include "core/time.h"
#include "sched/residency.h"

namespace shardlab {

/// A unit that a device has chosen. What every end of a unit looks at comes first.
struct Claim {
  TrackId track{};
  JobId job{};
  std::uint32_t unit = 0;
  Residency::Reservation reservation = Residency::kNoRoom;  ///< With a Residency.
  std::int64_t minibatch = 0;
  Instant started_at{};
  bool ready = false, reserved = false, ahead = false;
  // For the timeline alone.
  Turn turn{};
  std::int64_t number = 0;  ///< See UnitSpan::claim.
  Instant claimed_at{}, ready_at{}, reserved_at{};
};

/// Those of one device, in order of claim, in room that the Driver has for all devices together: it
/// knows where a device's claims are before it has looked at the device.
class Claims {
 public:
  Claims() = default;
  Claims(Claim* room, std::size_t slots)
      : first_(room), slots_(static_cast<std::uint32_t>(slots)) {}

  [[nodiscard]] Claim* begin() { return first_; }
  [[nodiscard]] Claim* end() { return first_ + size_; }
  [[nodiscard]] const Claim* begin() const { return first_; }
  [[nodiscard]] const Claim* end() const { return first_ + size_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] bool full() const { return size_ == slots_; }
  [[nodiscard]] Claim& operator[](std::size_t slot) { return first_[slot]; }
  [[nodiscard]] const Claim& operator[](std::size_t slot) const { return first_[slot]; }
  [[nodiscard]] const Claim& front() const { return *first_; }
  [[nodiscard]] const Claim& back() const { return first_[size_ - 1]; }

  /// Its last values are still there. Requires: not full().
  Claim& add() { return first_[size_++]; }
  void erase(std::size_t slot) {
    if (--size_ == 1 && slot == 0) {  // Most often. In place: not worth a call.
      first_[0] = first_[1];
      return;
    }
    for (; slot < size_; ++slot) first_[slot] = first_[slot + 1];
  }
  void clear() { size_ = 0; }

 private:
  Claim* first_ = nullptr;
  std::uint32_t size_ = 0, slots_ = 0;
};

}  // namespace shardlab
