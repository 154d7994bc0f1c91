#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "core/cluster.h"
#include "sched/program.h"
#include "tests/reference_memory.h"

/// The host's memory and the disk below it of the second simulator, see reference.h.
namespace shardlab::reference {

/// "Disk" of docs/design.md. Moves are named by their passages.
class Disk {
 public:
  Disk(const Program& program, const Cluster& cluster, Fault fault);

  /// A move between host and device is asked for.
  void start(std::size_t passage, const Move& move);
  /// Passages that may enter their links, of all that were started and not returned before.
  std::vector<std::size_t> ready(Instant now);
  /// It needs the host's memory no more. Those that never needed it are of no account.
  void finished(std::size_t passage);
  /// A unit starts that writes items of the job.
  void changed(std::size_t job, const Unit& unit);
  /// The host needs the item no more.
  void dropped(std::size_t job, ItemIndex item);
  /// The next end of a read or a write.
  [[nodiscard]] Instant next() const;

  Bytes read = 0, written = 0, peak = 0;

 private:
  using Place = std::pair<std::size_t, ItemIndex>;
  struct Item {
    Bytes bytes = 0;
    bool room = false;     ///< Set aside in memory.
    bool current = false;  ///< In memory, and the newest.
    bool on_disk = false;  ///< The newest.
    bool reading = false, writing = false;
    Instant read_ends{}, write_ends{};
    int users = 0;
    std::int64_t last_use = 0;
    [[nodiscard]] bool may_go() const { return room && users == 0 && !reading && !writing; }
  };
  struct Asker {
    std::size_t passage = 0;
    Move move;
    [[nodiscard]] Place place() const { return {move.job, move.item}; }
  };
  enum class Answer : std::uint8_t { kEnters, kIsRead, kWaits, kWaitsForRoom };

  [[nodiscard]] Bytes used() const;
  bool end_due(Instant now, std::vector<std::size_t>& entering);
  Answer ask(const Asker& asker, Instant now);
  bool take_room(Item& item, Instant now);

  const Cluster& cluster_;
  Fault fault_;
  std::map<Place, Item> items_;
  std::vector<Asker> waiting_;  ///< In the order of asking.
  std::vector<Asker> reading_;
  std::map<std::size_t, Asker> using_;  ///< By passage.
  Instant read_free_{}, write_free_{};
  std::int64_t uses_ = 0;
};

}  // namespace shardlab::reference
