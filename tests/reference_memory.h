#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/cluster.h"
#include "core/timeline.h"
#include "sched/program.h"

/// The memories of the second simulator, see reference.h.
namespace shardlab::reference {

/// A rule that is broken on purpose, to see that a comparison notices.
enum class Fault : std::uint8_t {
  kNone,
  kTiesToTheHigherJob,
  kNoLookahead,
  kLateClaimsAreKept,
  kTheNewestGoesFirst,
  kDropsMoreThanItMust,
  kAlwaysWrittenBack,
  kWritesDoNotWait,
  kOneLinkForBothWays,
  kUnitsBeforeLaneCopies,
  kNoHeadroom,
  kAlwaysLoaded,
  kHandedOverByTheHost,
  kNodesShareOneHost,
  kRoomIsOvertaken,
  kTheHostsNewestGoesFirst,
  kEverythingIsWritten,
  kGradientsStay,
  kStepsAtOnce,
  kAllBuffersAlike,
  kNoPriorities,
  kDevicesAlike,
  kCopiesDoNotSlow,
  kEachItsOwnBase,
};
constexpr int kFaults = 24;

/// A slot of a device that is taken by a unit.
struct Claim {
  std::size_t job = 0, track = 0, device = 0;
  std::uint32_t unit = 0;
  std::int64_t minibatch = 0, number = 0;
  bool ready = false, reserved = false, running = false, loaded = false;
  Instant claimed_at{}, reserved_at{}, started_at{}, from{}, to{};
  // While it runs: what is left of it at `since` at full speed, in ns, and how it is slowed then.
  double left = 0, slowness = 1;
  Instant since{};
};

/// An item that shall move, or moves, for a job.
struct Move {
  std::size_t job = 0, device = 0;
  ItemIndex item = 0;
  Direction direction{};
  std::size_t source = 0;  ///< Under kPeer, the device that it leaves.
  bool remote = false;     ///< From the host of another node.
  bool gradient = false;   ///< With which the host steps before the move is over.
};

/// "Both have a peer link, or they are on different nodes."
bool direct(const Cluster& cluster, std::size_t from, std::size_t to);

/// What sits in which memory: "Memory rules" of docs/design.md.
class Memory {
 public:
  Memory(const Program& program, const Cluster& cluster, Fault fault);

  /// Sets the peaks of a held job aside, if there is room on all `devices`.
  bool admit(std::size_t job, const std::vector<std::size_t>& devices,
             const std::vector<Claim>& claims);
  /// Reserves all that the claim's unit needs, or nothing.
  bool reserve(const Claim& claim, const std::vector<Claim>& claims);
  /// All inputs are there, and nothing that the unit changes is on its way.
  [[nodiscard]] bool arrived(const Claim& claim) const;
  void begin(const Claim& claim, const std::vector<Claim>& claims);
  /// `claim` is no longer among `claims`.
  void commit(const Claim& claim, const std::vector<Claim>& claims);
  /// Writes back what `claim` left dirty; `next`: the job's next unit, if it is claimed there.
  void settle(const Claim& claim, const Unit* next);
  /// `claim`, which was reserved, is no longer among `claims`.
  void give_back(const Claim& claim, const std::vector<Claim>& claims);
  void flush(std::size_t job);
  [[nodiscard]] bool flushed(std::size_t job) const;
  void forget(std::size_t job);
  void moved(const Move& move, const std::vector<Claim>& claims);

  [[nodiscard]] Bytes used(std::size_t device, const std::vector<Claim>& claims) const;
  [[nodiscard]] Bytes on_host() const;

  std::vector<Move> asked;  ///< What shall move and does not yet, in the order of asking.
  /// Of which item the host keeps nothing any more: job and item.
  std::vector<std::pair<std::size_t, ItemIndex>> unneeded;

 private:
  struct Place {
    std::size_t job, device;
    ItemIndex item;
    auto operator<=>(const Place&) const = default;
  };
  struct Copy {
    enum class Stage : std::uint8_t { kRoom, kArriving, kThere, kGradient } stage = Stage::kRoom;
    bool dirty = false, leaving = false;
    bool sending = false;  ///< To another device.
    bool stale = false;    ///< To be dropped when it is no longer on its way.
    std::size_t job = 0;   ///< Who brought it, and by what number.
    ItemIndex item = 0;
    std::int64_t last_use = 0;
    [[nodiscard]] bool moving() const { return leaving || sending || stage == Stage::kArriving; }
  };
  using Stage = Copy::Stage;

  [[nodiscard]] const Unit& unit_of(const Claim& claim) const {
    return program_.jobs[claim.job].units[claim.unit];
  }
  [[nodiscard]] Bytes bytes(const Place& place) const {
    return program_.jobs[place.job].items[place.item].bytes;
  }
  [[nodiscard]] bool held(std::size_t job) const { return program_.jobs[job].held; }
  /// "(job, item) leads to the state of whoever came first."
  [[nodiscard]] std::pair<std::size_t, ItemIndex> first_of(std::size_t job, ItemIndex item) const;
  [[nodiscard]] Place place(std::size_t job, std::size_t device, ItemIndex item) const;
  [[nodiscard]] bool shared(const Place& place) const;
  [[nodiscard]] std::vector<ItemIndex> shared_by(std::size_t job, std::size_t device) const;
  [[nodiscard]] bool held_there(const Place& place) const;
  void bring(std::size_t job, ItemIndex item, std::size_t device, bool reads);
  [[nodiscard]] std::vector<Place> places(const Claim& claim) const;
  [[nodiscard]] bool needed(const Place& place, const std::vector<Claim>& claims) const;
  [[nodiscard]] Bytes headroom(std::size_t device) const;
  [[nodiscard]] Bytes set_aside_on(std::size_t device) const;
  [[nodiscard]] std::vector<Place> dispensable(std::size_t device, const std::vector<Place>& keep,
                                               const std::vector<Claim>& claims) const;
  bool make_room(std::size_t device, Bytes need, const std::vector<Place>& keep,
                 const std::vector<Claim>& claims);
  void let_go(const Claim& claim);
  void make_void(std::size_t job, ItemIndex item, std::size_t but_on,
                 const std::vector<Claim>& claims);
  void fetch(const Place& place);
  void hand_over(const Place& from, std::size_t reader);
  void send(const Place& from, const Place& to);
  void sent(const Move& move, const std::vector<Claim>& claims);
  void promote(const Place& place);
  void demote(const Place& place);
  void free_set_aside(std::size_t job);
  void drop_from_host(std::size_t job, ItemIndex item);

  const Program& program_;
  const Cluster& cluster_;
  Fault fault_;
  std::map<Place, Copy> copies_;
  std::set<std::pair<std::size_t, ItemIndex>> in_host_;            ///< Current there.
  std::map<std::pair<std::size_t, ItemIndex>, std::string> node_;  ///< Whose host has it, if any.
  std::set<std::pair<std::size_t, ItemIndex>> changing_;           ///< A unit that writes it runs.
  std::set<std::size_t> forgotten_;                                ///< Jobs that have ended.
  std::map<std::size_t, std::vector<Bytes>> set_aside_;            ///< Per held job and device.
  std::map<std::size_t, std::vector<Place>> holds_;  ///< Of what is shared, by held job.
  std::int64_t uses_ = 0;
};

}  // namespace shardlab::reference
