#pragma once

#include <string>
#include <vector>

#include "core/workload.h"
#include "imports/imported.h"

namespace shardlab {

/// The one model that the jobs of a workload train. Throws UsageError where there are several.
Job job_to_fill_from(const std::string& path);

/// Sets every size that is missing to that of the job's model, at the imported batch, with a note.
/// With as many layers as the model has, each is one, and the profile becomes that of the model.
/// Else `first_layer` says with which layer of the model each imported one begins. Throws
/// UsageError where the two do not go together.
void fill(const std::string& path, const Job& job, const std::vector<int>& first_layer,
          Imported& to);

}  // namespace shardlab
