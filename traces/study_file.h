#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.h"

namespace shardlab {

/// What is drawn uniformly, both ends included.
template <typename T>
struct DrawnFrom {
  T least{}, most{};
};

/// How the jobs of a setting are drawn.
struct DrawnJobs {
  std::string name;
  int count = 0;
  bool equal = false;  ///< All are as the first.
  DrawnFrom<std::int64_t> shards{1, 1}, minibatches{1, 1};
  DrawnFrom<Duration> time;  ///< Of all computing of one job, on a device of speed 1.
  double spread = 0;         ///< A pass varies from shard to shard by up to so much, from 0 to 1.
  double backward = 2;       ///< A backward over a forward, without what it repeats.
  bool recompute = true;     ///< A backward unit repeats its shard's forward.
};

struct DrawnDevices {
  std::string name;
  int count = 0;
  std::vector<double> speeds{1};  ///< Dealt out in turn.
};

enum class LinkKind : std::uint8_t {
  kNone,       ///< No memory, no copies.
  kDedicated,  ///< A link per device.
  kShared,     ///< The same, through one switch that passes as much as one of them, each way.
};

struct DrawnTransfer {
  std::string name;  ///< "none", "shared 0.5".
  LinkKind link{};
  /// What the parameters of a shard take on a device's link over what a unit of the job computes,
  /// both on average.
  double load = 0;
};

/// What others reported for a setting.
struct PublishedFigure {
  std::string jobs, devices, policy;
  double value = 0;  ///< Makespan over `relative_to`.
};

/// Settings of a study: every kind of jobs on every kind of devices by every transfer and slots.
struct StudyGrid {
  std::string name;
  std::string origin;                 ///< The file that it was read from.
  std::string about;                  ///< A sentence for reports; may be empty.
  std::int64_t instances = 0;         ///< Drawn per setting.
  std::vector<std::string> policies;  ///< Empty: all.
  /// Where each of them stands, for errors: "grid.toml:4: policies".
  std::vector<std::string> policy_places;
  std::string baseline;  ///< Every policy is compared with it; empty: the usual one.
  std::vector<int> slots;
  /// Largest units for which a device has room, where there are transfers; empty: as many as slots.
  std::vector<int> memory;
  std::vector<DrawnJobs> jobs;
  std::vector<DrawnDevices> devices;
  std::vector<DrawnTransfer> transfers;
  std::vector<PublishedFigure> published;
  std::string relative_to;  ///< What `published` are multiples of.
};

std::string to_string(LinkKind kind);  ///< "none", "dedicated", "shared"

/// Throws Error `file:line: key: what` on an unknown key (with the nearest known one), a wrong
/// type, a value that is missing or out of range, and two settings of one name.
StudyGrid read_study_grid(const std::string& path);

/// The same from a text; `origin` names it in errors.
StudyGrid parse_study_grid(std::string_view text, const std::string& origin);

}  // namespace shardlab
