#pragma once

#include <optional>
#include <string>

#include <nlohmann/json_fwd.hpp>

#include "cli/inputs.h"
#include "cli/prediction.h"
#include "planning/replan.h"

namespace shardlab {

/// What a joint plan is held against: nothing where it cannot run.
struct Yardsticks {
  std::optional<Duration> one_device;  ///< The best usual plan on the first device alone.
  std::optional<Duration> policy;      ///< All jobs spill on all devices, under the policy
  std::string policy_name;             ///< of this name, whichever the plan has.
};

/// A row per job, then how long it takes and how it compares. `interrupted`: the search was.
std::string joint_plan_text(const Inputs& inputs, const JointPlan& found, const Yardsticks& than,
                            const Prediction& prediction, bool interrupted);

/// When who is planned anew, after the first plan; `last` is of the last phase by itself.
std::string replanned_text(const Inputs& inputs, const Replanned& found, const Prediction& last);

/// What --json prints; docs/formats.md lists it.
nlohmann::ordered_json joint_plan_json(const Inputs& inputs, const JointPlan& found,
                                       const Yardsticks& than, const Prediction& prediction);
nlohmann::ordered_json replanned_json(const Inputs& inputs, const Replanned& found,
                                      const Prediction& last);

}  // namespace shardlab
