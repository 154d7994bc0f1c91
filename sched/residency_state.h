#pragma once

#include <cstdint>

#include "sched/backend.h"

/// What Residency keeps of copies, items and devices.
namespace shardlab::residency {

/// An item in the memory of a device. It can be in one transfer at a time, towards its device or
/// from it.
struct Copy {
  /// Reserved: room is set aside, nothing is on its way yet. Gradient: what lies there is what the
  /// host will make the next version with; see Item::host_steps.
  enum class Stage : std::uint8_t { kReserved, kGradient, kArriving, kThere };

  Transfer transfer;        ///< Job, item, device and bytes always; the rest once it moves.
  std::uint32_t place = 0;  ///< Of its item.
  Copy* sibling = nullptr;  ///< Next copy of the same item; or, unused, the next unused.
  Copy *older = nullptr, *newer = nullptr;  ///< In the device's order of use, while it may go.
  std::uint32_t pins = 0;                   ///< Claims, transfers and held jobs that need it.
  std::uint32_t holders = 0;                ///< Of them, held jobs.
  Stage stage = Stage::kReserved;
  bool dirty = false;
  bool leaving = false;  ///< Being demoted.
  bool sending = false;  ///< On its way to another device.
  bool stale = false;    ///< To be dropped when its transfer ends.
  bool aside = false;    ///< Its room is part of what its held job has set aside.

  /// Of a version, not only its room.
  [[nodiscard]] bool present() const { return stage >= Stage::kArriving && !stale; }
  /// It can be dropped, once it is clean.
  [[nodiscard]] bool evictable() const {
    return pins == 0 && stage == Stage::kThere && !stale && !aside;
  }
};

struct ItemState {
  Bytes bytes = 0;
  Copy* first = nullptr;
  std::uint32_t moving = 0;  ///< Transfers in flight, from the host or to it or between devices.
  bool lasting = false;
  bool shared = false;
  bool host = false;       ///< The version in host memory is current.
  bool writing = false;    ///< A unit is changing it.
  bool forgotten = false;  ///< Its job has ended.
  /// What a unit that writes it leaves.
  Copy::Stage written = Copy::Stage::kThere;
  /// Whose host memory has it; see ItemState::kNowhere.
  std::uint16_t node = kNowhere;
  /// It is loaded by the node that asks for it first.
  static constexpr std::uint16_t kNowhere = UINT16_MAX;
};

/// What may go of its copies is a ring in the order of use, through one of Residency::rings_, which
/// is no copy: `newer` of it is the one used least recently.
struct Device {
  Bytes budget = 0, used = 0, peak = 0;
  Bytes headroom = 0;    ///< Left free by held jobs.
  Bytes set_aside = 0;   ///< For held jobs.
  Bytes clean = 0;       ///< Of copies that may be dropped at once.
  Bytes leaving = 0;     ///< Of copies being demoted.
  bool refused = false;  ///< A claim found no room when it asked last.
  bool roomier = false;  ///< Since then room may have appeared.
};

}  // namespace shardlab::residency
