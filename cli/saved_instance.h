#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "traces/study_file.h"

namespace shardlab {

/// `study --save-instance`: writes one instance as inputs of `simulate` with a plan per policy, and
/// prints how to go on. `which` is "GRID/SETTING,NUMBER", as in "policies/drawn/mixed/none/2,7".
/// Throws UsageError where it is not of that form, Error where no grid has it.
void save_instance(const std::string& which, const std::vector<StudyGrid>& grids,
                   std::uint64_t seed, const std::string& folder);

}  // namespace shardlab
