#include "sched/candidate_front.h"

#include <algorithm>
#include <functional>
#include <vector>

#include <gtest/gtest.h>

#include "tests/instances.h"

namespace shardlab {
namespace {

constexpr std::size_t kTracks = 200;

/// The greatest key first, ties to the lower track; of those, what passes over `left` free ones.
TrackId scan(const std::vector<Candidate>& units, DeviceId device, int left) {
  std::vector<Candidate> order;
  for (const Candidate& unit : units) {
    if (unit.bound == kNoDevice || unit.bound == device) order.push_back(unit);
  }
  std::ranges::stable_sort(order, std::greater{}, &Candidate::remaining);
  for (const Candidate& unit : order) {
    if (unit.bound != kNoDevice || left-- == 0) return unit.track;
  }
  return kNoTrack;
}

// More candidates than stand beside the tree, equal keys and bound ones among them.
TEST(CandidateFront, PassesOverCandidatesInTheirOrderWithoutTakingThemOut) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    instances::Draw draw(seed);
    CandidateFront front(kTracks);
    std::vector<Candidate> units;  // By track.
    for (int step = 0; step < 2000; ++step) {
      const TrackId track = track_id(draw.below(kTracks));
      const auto place = std::ranges::lower_bound(units, track, {}, &Candidate::track);
      if (place != units.end() && place->track == track) {
        front.clear(track, place->bound);
        units.erase(place);
      } else {
        Candidate unit;
        unit.track = track;
        unit.remaining = Duration{draw(50)};
        if (draw(8) == 0) unit.bound = device_id(draw.below(2));
        front.set(unit, unit.remaining.count());
        units.insert(place, unit);
      }
      const DeviceId device = device_id(draw.below(2));
      const int left = draw(3) == 0 ? draw(90) : draw(3);
      int passed = left;
      const TrackId found = front.first_that(device, [&](TrackId) { return passed-- == 0; });
      ASSERT_EQ(found, scan(units, device, left)) << "seed " << seed << ", step " << step;
    }
  }
}

}  // namespace
}  // namespace shardlab
